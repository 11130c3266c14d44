"""Variations, super-resolution and interpolation: the first scales are given."""

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_model

from vartk.components import plugins
from vartk.engine.zero_shot.upscaling import projected, scales_shown
from vartk_registry import VartkError
from vartk_registry.interfaces import Schedule

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = [0, 1]
CACHES = plugins().registry.names("cache")
GUIDANCE = plugins().registry.names("guidance")


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(5)) * 2 - 1


def reconstructed(model, images):
    return (model.decode(model.encode(images)) + 1) / 2


@pytest.mark.parametrize("guidance", GUIDANCE)
@pytest.mark.parametrize("cache", [name for name in CACHES if name != "skip_last"])
def test_keeping_all_scales_is_reconstruction_and_none_is_sampling(model, images, cache, guidance):
    settings = {"cache": cache, "guidance": guidance, "seed": 2}
    everything = model.vary(images, LABELS, keep=3, **settings)
    torch.testing.assert_close(everything.images, reconstructed(model, images))
    nothing, sampled = model.vary(images, LABELS, keep=0, **settings), model.sample(LABELS, **settings)
    assert torch.equal(torch.cat(nothing.codes, 1), torch.cat(sampled.codes, 1))
    torch.testing.assert_close(nothing.images, sampled.images)


def test_more_scales_that_are_kept_give_closer_variations(model, images):
    distances = [
        (model.vary(images, LABELS, keep=keep).images - reconstructed(model, images)).abs().mean().item()
        for keep in range(4)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[2] > 0.01


def test_a_variation_of_another_size_comes_back_at_its_own(model):
    image = torch.rand(1, 3, 20, 50) * 2 - 1
    for fit in ("pad", "stretch"):
        assert model.vary(image, keep=2, fit=fit).images.shape == image.shape


def test_in_painting_may_keep_the_coarse_scales_under_the_mask(model, images):
    mask = torch.zeros(16, 16)
    mask[:, :8] = 1
    made = [model.inpaint(images, mask, LABELS, keep=keep, seed=3).images for keep in (0, 2)]
    assert not torch.equal(*made)
    # what is under the mask is looked at now
    assert not torch.equal(
        made[1], model.inpaint(torch.where(mask == 1, -images, images), mask, LABELS, keep=2, seed=3).images
    )


@pytest.mark.parametrize(("size", "factor"), [((8, 8), 2), ((16, 16), 1.5), ((12, 20), 3), ((4, 6), 2)])
def test_an_enlarged_image_shrinks_to_what_it_was(model, size, factor):
    small = torch.rand(1, 3, *size) * 1.2 - 0.6
    made = model.upscale(small, [1], factor=factor).images
    large = tuple(round(side * factor) for side in size)
    assert made.shape[-2:] == large
    back = F.interpolate(made, size=size, mode="bicubic", antialias=True)
    assert (back - (small + 1) / 2).abs().mean() < 0.02


def test_super_resolution_draws_only_what_the_small_image_cannot_say(model):
    small = torch.rand(1, 3, 8, 8) * 1.2 - 0.6
    seeds = [model.upscale(small, [1], factor=2, seed=seed).codes for seed in (0, 1)]
    large = F.interpolate(small, size=(16, 16), mode="bicubic", antialias=True).clamp(-1, 1)
    state = next(iter(model.stream([1], given=model.given(large, keep=2))))
    assert torch.equal(state.vectors, model.tokenizer.embed(model.encode(large)[0]))
    assert not torch.equal(torch.cat(seeds[0], 1), torch.cat(seeds[1], 1))


def test_the_scales_that_a_share_of_the_resolution_shows():
    schedule = Schedule.of([1, 1, 2, 4, 8, 16])
    shown = [scales_shown(schedule, share) for share in (1, 0.5, 0.49, 0.25, 0.01)]
    assert shown == [6, 5, 4, 4, 1]
    assert scales_shown(Schedule.of([4]), 0.5) == 1
    assert scales_shown(Schedule.of([(1, 2), (2, 4)]), 0.5) == 1


def test_projection_leaves_alone_what_is_right():
    image = torch.full((1, 3, 8, 8), 0.25)
    torch.testing.assert_close(projected(image, torch.full((1, 3, 4, 4), 0.25)), image)
    torch.testing.assert_close(projected(image, torch.full((1, 3, 4, 4), 0.5)), image + 0.25)


def test_between_two_images_the_ends_are_their_reconstructions(model, images):
    made = model.interpolate(images[0], images[1], steps=3).images
    torch.testing.assert_close(made[[0, 2]], reconstructed(model, images))
    vectors = [
        sum(map(model.tokenizer.embed, pair)) / 2
        for pair in zip(*[model.encode(image[None]) for image in images], strict=True)
    ]
    f_hat = None
    for step, each in enumerate(vectors):
        f_hat = model.tokenizer.accumulate(f_hat, each, step, model.schedule)
    torch.testing.assert_close(made[1:2], (model.tokenizer.decode(f_hat) + 1) / 2)


def test_between_two_images_the_finer_scales_may_be_drawn(model, images):
    made = model.interpolate(*images, labels=1, steps=3, keep=2, seed=4)
    assert made.seeds == [4, 4, 4]
    ends = model.vary(images, [1, 1], keep=2, seed=[4, 4]).images
    torch.testing.assert_close(made.images[[0, 2]], ends)


def test_between_two_classes_the_ends_are_their_samples(model):
    made = model.interpolate(0, "stripes", steps=3, seed=7, guidance=2.0)
    sampled = model.sample([0, 2], seed=[7, 7], guidance=2.0)
    assert torch.equal(torch.cat(made.codes, 1)[[0, 2]], torch.cat(sampled.codes, 1))
    torch.testing.assert_close(made.images[[0, 2]], sampled.images)
    batched = model.sample([0, {0: 1, 2: 1}, 2], seed=[7] * 3, guidance=2.0, batch=2)
    assert torch.equal(torch.cat(batched.codes, 1), torch.cat(made.codes, 1))


@pytest.mark.parametrize("keep", [-1, 4, 1.5, True])
def test_keep_beyond_the_schedule(model, images, keep):
    with pytest.raises(VartkError, match=r"keep=.* is out of range; give 0 to 3 scales"):
        model.vary(images, LABELS, keep=keep)


def test_arguments_that_do_not_fit(model, images):
    with pytest.raises(VartkError, match="factor=1 does not enlarge"):
        model.upscale(images, factor=1)
    with pytest.raises(VartkError, match="images are 8x8 pixels, the model takes 16x16"):
        model.interpolate(images[0], images[1, :, :8, :8])
    with pytest.raises(VartkError, match="steps=1 is no way"):
        model.interpolate(0, 1, steps=1)
    with pytest.raises(VartkError, match="one end is an image and the other a label"):
        model.interpolate(images[0], 1)
    with pytest.raises(VartkError, match="images must be floats"):
        model.vary("photo.png", keep=1)
