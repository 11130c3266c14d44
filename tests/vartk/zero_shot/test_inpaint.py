"""In-painting: what is kept, what is drawn, and every setting of sampling around it."""

import pytest
import torch
from tiny import tiny_model

import vartk
from vartk.components import plugins
from vartk.engine.zero_shot.paste import pasted
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = [0, 1]
CACHES = plugins().registry.names("cache")
GUIDANCE = plugins().registry.names("guidance")


@pytest.fixture(scope="module")
def model():
    return tiny_model(**{"schedule.grids": [1, 2, 3, 4]})


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(5)) * 2 - 1


def left():
    mask = torch.zeros(16, 16)
    mask[:, :8] = 1
    return mask


def kept(images):
    return (images + 1) / 2


@pytest.mark.parametrize("guidance", GUIDANCE)
@pytest.mark.parametrize("cache", CACHES)
def test_two_seeds_differ_inside_the_mask_alone(model, images, cache, guidance):
    settings = {"cache": cache, "guidance": guidance}
    made = [model.inpaint(images, left(), LABELS, seed=seed, **settings).images for seed in (0, 20, 40)]
    for each in made:
        assert torch.equal(each[..., 8:], kept(images)[..., 8:])
    assert torch.stack(made)[..., :8].std(0).max() > 0.01


def test_a_full_mask_is_sampling(model, images):
    made = model.inpaint(images, torch.ones(16, 16), LABELS, seed=3)
    sampled = model.sample(LABELS, seed=3)
    assert torch.equal(torch.cat(made.codes, 1), torch.cat(sampled.codes, 1))
    torch.testing.assert_close(made.images, sampled.images)


def test_an_empty_mask_gives_the_images_or_their_reconstruction(model, images):
    none = torch.zeros(16, 16)
    assert torch.equal(model.inpaint(images, none, LABELS).images, kept(images))
    made = model.inpaint(images, none, LABELS, composite="codes").images
    torch.testing.assert_close(made, kept(model.decode(model.encode(images))))


def test_what_the_mask_covers_is_not_looked_at(model, images):
    other = torch.where(left() == 1, -images, images)
    a, b = (model.inpaint(given, left(), LABELS).images for given in (images, other))
    assert torch.equal(a, b)


def test_a_soft_mask_mixes_the_drawn_with_the_given_in_its_proportion(model, images):
    soft = torch.where(left() == 1, 0.25, 0.0)
    hard, mixed = (model.inpaint(images, mask, LABELS).images for mask in (left(), soft))
    torch.testing.assert_close(mixed, 0.75 * kept(images) + 0.25 * hard)


def test_the_edge_is_matched_and_what_is_far_from_it_stays_as_drawn():
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.5
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    made = pasted(image + 0.25, image, mask)
    brighter = (made - image).mean((0, 1, 2))  # a column each
    expected = torch.cat((torch.full((28,), 0.25), torch.tensor([0.1875, 0.125, 0.0625, 0]), torch.zeros(32)))
    torch.testing.assert_close(brighter, expected, atol=0.01, rtol=0)


def test_masks_of_one_image_each_and_boolean_ones(model, images):
    masks = torch.stack([left(), 1 - left()])
    made = model.inpaint(images, masks[:, None].bool(), LABELS).images
    assert torch.equal(made[0, :, :, 8:], kept(images)[0, :, :, 8:])
    assert torch.equal(made[1, :, :, :8], kept(images)[1, :, :, :8])
    assert torch.equal(made, model.inpaint(images, masks, LABELS).images)


def test_batches_and_streaming_make_the_same_images(model, images):
    made = model.inpaint(images, left(), LABELS, seed=2)
    alone = model.inpaint(images, left(), LABELS, seed=2, batch=1)
    assert torch.equal(torch.cat(alone.codes, 1), torch.cat(made.codes, 1))
    torch.testing.assert_close(alone.images, made.images)
    states = list(model.stream(LABELS, seed=2, given=model.given(images, left())))
    assert len(states) == 4
    for state in states:
        assert torch.equal(state.images[..., 8:], kept(images)[..., 8:])
    assert torch.equal(states[-1].images, made.images)


def test_each_scale_is_watched(model, images):
    seen = []
    model.inpaint(images, left(), LABELS, batch=1, watch=lambda done, state: seen.append((done, state.step)))
    assert seen == [(batch + (step + 1) / 4, step) for batch in (0, 1) for step in range(4)]


@pytest.mark.parametrize("composite", ["paste", "codes"])
def test_without_labels_nothing_is_asked_for(model, images, composite):
    made = model.inpaint(images, left(), composite=composite).images
    assert torch.equal(made, model.inpaint(images, left(), [None, None], composite=composite).images)


def test_another_schedule_a_refiner_half_precision_and_recordings(model, images):
    for settings in (
        {"schedule": [1, 3, 4]},
        {"refiner": model, "draft": 1},
        {"precision": "bf16"},
        {"record": "always"},
    ):
        made = model.inpaint(images, left(), LABELS, **settings).images
        assert torch.equal(made[..., 8:], kept(images)[..., 8:])


def test_editing_is_in_painting_under_another_class(model, images):
    made = [model.inpaint(images, left(), [label] * 2, seed=1).images for label in (0, 2)]
    assert not torch.equal(*made)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (torch.zeros(8, 8), r"masks must be .* not \[8, 8\]"),
        (torch.zeros(3, 16, 16), r"not \[3, 16, 16\]"),
        (left() * 255, r"from 0 to 255; divide 8-bit masks by 255"),
        (left() * torch.nan, "from nan to nan"),
        ("left", "as a torch.Tensor, not 'left'"),
    ],
)
def test_masks_that_are_none(model, images, masks, message):
    with pytest.raises(VartkError, match=message):
        model.inpaint(images, masks, LABELS)


def test_arguments_that_do_not_fit(model, images):
    with pytest.raises(VartkError, match="composite 'glue'"):
        model.inpaint(images, left(), LABELS, composite="glue")
    with pytest.raises(VartkError, match="cells of 2 images for 3; give one label an image"):
        model.inpaint(images, left(), [0, 1, 2])
    with pytest.raises(VartkError, match="the scales 1, 2, 3, 4, the generation has 1, 3, 4"):
        model.stream(LABELS, given=model.given(images, left()), schedule=[1, 3, 4])
    with pytest.raises(VartkError, match="tokenizer alone"):
        tiny_model(predictor=False).inpaint(images, left(), LABELS)


def test_the_published_name_of_the_result(model, images):
    assert isinstance(model.inpaint(images, left(), LABELS), vartk.Samples)
