"""Pictures of any size and aspect: fitted, padded or tiled, and put back at their own size."""

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_model

from vartk.engine.zero_shot.windows import Window, tiles, whole
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def picture(h, w):
    return torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(h)) * 2 - 1


def hole(h, w, rows=slice(None), columns=slice(None)):
    mask = torch.zeros(h, w)
    mask[rows, columns] = 1
    return mask


@pytest.mark.parametrize("fit", ["pad", "stretch", "tile"])
@pytest.mark.parametrize("size", [(16, 16), (40, 24), (17, 61)])
def test_kept_pixels_come_back_bit_for_bit_at_any_size(model, size, fit):
    image, mask = picture(*size), hole(*size, columns=slice(3, size[1] - 2))
    a, b = (model.inpaint(image, mask, [1], fit=fit, seed=seed).images for seed in (0, 20))
    kept = mask == 0
    for made in (a, b):
        assert made.shape == image.shape
        assert torch.equal(made[..., kept], ((image + 1) / 2)[..., kept])
        assert 0 <= made.min() <= made.max() <= 1
    assert not torch.equal(a, b)


def test_codes_replace_the_whole_picture(model):
    image = picture(40, 24)
    made = model.inpaint(image, hole(40, 24), [1], composite="codes").images
    assert made.shape == image.shape
    assert not torch.equal(made, (image + 1) / 2)


def test_a_picture_smaller_than_the_model_is_drawn_larger_and_shrunk(model):
    made = model.inpaint(picture(8, 8), hole(8, 8), [1], seed=3).images
    sampled = model.sample([1], seed=3).images
    shrunk = F.interpolate(sampled, size=(8, 8), mode="bicubic", antialias=True).clamp(0, 1)
    torch.testing.assert_close(made, shrunk)


def test_windows_see_what_those_before_have_drawn(model):
    """The first window is drawn as it would be alone; the picture beyond it is none of its business."""
    image, mask = picture(16, 32), hole(16, 32, columns=slice(16, None))
    wide = model.inpaint(image, mask, [1], fit="tile").images
    first = model.inpaint(image[..., 8:24], mask[:, 8:24], [1]).images
    torch.testing.assert_close(wide[..., 8:24], first)


def test_a_window_of_another_size_is_resized(model):
    image, mask = picture(32, 64), hole(32, 64, columns=slice(32, None))
    made = model.inpaint(image, mask, [1], fit="tile", window=32).images
    assert torch.equal(made[..., :32], ((image + 1) / 2)[..., :32])


def test_progress_counts_over_all_windows(model):
    seen = []
    mask = hole(16, 32, columns=slice(16, None))
    model.inpaint(picture(16, 32), mask, [1], fit="tile", watch=lambda done, state: seen.append(done))
    assert seen == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


def test_the_window_of_a_whole_picture_has_the_models_aspect():
    assert whole((30, 60), (16, 16), stretch=False) == Window(-15, 0, 60, 60)
    assert whole((30, 60), (16, 16), stretch=True) == Window(0, 0, 30, 60)
    assert whole((10, 10), (16, 32), stretch=False) == Window(0, -5, 10, 20)


def test_tiles_grow_from_what_is_known():
    mask = hole(16, 48, columns=slice(16, None))[None, None]
    assert tiles(mask, (16, 16), None) == [Window(0, left, 16, 16) for left in (8, 16, 24, 32)]
    # of three quarters that are unknown, the corner is drawn last
    square = hole(32, 32)[None, None] + 1
    square[..., :16, :16] = 0
    assert tiles(square, (16, 16), None)[-1] == Window(16, 16, 16, 16)
    assert tiles(torch.zeros(1, 1, 16, 48), (16, 16), None) == [Window(0, 0, 16, 16)]


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        ((3, 40), {}, "3x40 pixels are smaller than a cell of the model's latent, 4x4"),
        ((40, 12), {"fit": "tile"}, "no window of 16x16 pixels .* fits into 12x40; give a smaller window"),
        ((40, 40), {"fit": "tile", "window": 41}, "no window of 41x41"),
        ((40, 40), {"fit": "squeeze"}, "fit 'squeeze'"),
        ((40, 40), {"window": 20}, "window=20 has no effect with fit=pad"),
    ],
)
def test_pictures_that_no_window_fits(model, size, settings, message):
    with pytest.raises(VartkError, match=message):
        model.inpaint(picture(*size), hole(*size), [0], **settings)
