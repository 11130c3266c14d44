"""Out-painting: where a picture is on its canvas, and in which windows the rest is drawn."""

import pytest
import torch
from tiny import tiny_model

from vartk.engine.zero_shot.canvas import on_canvas, window_for
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def picture(h, w):
    return torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(h)) * 2 - 1


@pytest.mark.parametrize(
    ("canvas", "at", "top", "left"),
    [
        ((2, 1), "left", 0, 0),
        ((2, 1), "right", 0, 16),
        ((2, 1), "center", 0, 8),
        ((2, 3), "top", 0, 8),
        ((1.5, 2), "bottom-right", 16, 8),
        ((2, 2), "bottom-left", 16, 0),
    ],
)
def test_the_picture_is_at_its_place_bit_for_bit(model, canvas, at, top, left):
    image = picture(16, 16)
    a, b = (model.outpaint(image, [1], canvas=canvas, at=at, seed=seed).images for seed in (0, 1))
    assert a.shape == (1, 3, round(16 * canvas[1]), round(16 * canvas[0]))
    for made in (a, b):
        assert torch.equal(made[..., top : top + 16, left : left + 16], (image + 1) / 2)
    assert not torch.equal(a, b)


def test_a_canvas_of_the_models_size_is_drawn_in_one_pass(model):
    image = picture(8, 8)
    made = model.outpaint(image, [1], canvas=(2, 2), at="top-left", seed=3)
    placed, masks = on_canvas(image, (2, 2), "top-left")
    once = model.inpaint(placed, masks, [1], seed=3)
    assert torch.equal(torch.cat(made.codes, 1), torch.cat(once.codes, 1))
    assert torch.equal(made.images, once.images)


@pytest.mark.parametrize(("fit", "turns"), [("tile", 4), ("pad", 1)])
def test_a_larger_canvas_is_drawn_in_windows_or_at_once(model, fit, turns):
    seen = []
    settings = {"canvas": (3, 1), "at": "left", "fit": fit}
    model.outpaint(picture(16, 16), [1], **settings, watch=lambda done, state: seen.append(state.step))
    assert seen == [0, 1, 2] * turns


def test_the_window_of_a_canvas():
    assert window_for((64, 64), (64, 128), (64, 64)) == 64
    assert window_for((800, 1000), (800, 2000), (256, 256)) == 800  # the picture, at once
    assert window_for((32, 32), (64, 64), (64, 64)) == 64  # the canvas is the model's size
    assert window_for((32, 32), (32, 128), (64, 64)) == 32  # no larger one fits
    assert window_for((64, 64), (64, 128), (64, 128)) == 64


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"canvas": (1, 1)}, "a canvas of 16x16 pixels leaves nothing to draw around 16x16"),
        ({"canvas": (2, 0.5)}, "a canvas of 32x8 pixels leaves nothing"),
        ({"canvas": (2, 1), "at": "east"}, "place 'east'"),
        ({"canvas": (2, 1), "window": 20}, "no window of 20x20 pixels .* fits into 32x16"),
    ],
)
def test_canvases_that_cannot_be_painted(model, settings, message):
    with pytest.raises(VartkError, match=message):
        model.outpaint(picture(16, 16), [1], **settings)
