import numpy as np
import pytest
import torch
from tiny import CLASSES, tiny_model

from vartk_registry import VartkError
from vartk_registry.interfaces import Schedule


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def images():
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_encode_gives_integers_by_scale_and_decode_images(model, images):
    codes = model.encode(images)
    assert [tuple(code.shape) for code in codes] == [(3, 1), (3, 4), (3, 16)]
    assert all(code.dtype == torch.int64 and not code.is_floating_point() for code in codes)
    made = model.decode(codes)
    assert made.shape == (3, 3, 16, 16)
    assert made.abs().max() <= 1
    assert not made.requires_grad


def test_encode_and_logits_do_not_depend_on_the_batch(model, images):
    codes = model.encode(images)
    assert same([code[1:2] for code in codes], model.encode(images[1:2]))
    logits = model.logits([0, 1, 2], codes)
    alone = model.logits(1, [code[1:2] for code in codes])
    assert torch.allclose(logits[1:2], alone, atol=1e-4)
    assert not logits.requires_grad


def test_logits_are_those_that_sampling_draws_from(model):
    out = model.sample([0, 1], guidance=0.0, sampler="greedy")
    logits = model.logits([0, 1], out.codes)
    assert logits.shape == (2, 21, 24)
    assert torch.equal(logits.argmax(-1), torch.cat(out.codes, dim=1))


def test_fewer_codes_give_a_coarser_image(model, images):
    codes = model.encode(images)
    coarse = model.decode(codes[:2])
    assert coarse.shape == (3, 3, 16, 16)
    assert not torch.equal(coarse, model.decode(codes))


def test_compact_codes_decode_as_well(model, images):
    codes = model.encode(images)
    assert torch.equal(model.decode([code.to(torch.uint8) for code in codes]), model.decode(codes))


@pytest.mark.parametrize("labels", [[2], ["stripes"], "stripes", 2, torch.tensor([2]), torch.tensor(2)])
def test_labels_by_index_name_and_tensor(model, labels):
    assert model.parse(labels).tolist() == [2]


def test_numpy_labels(model):
    assert model.parse(np.array([2, 0])).tolist() == [2, 0]
    assert model.parse(np.int64(1)).tolist() == [1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([3], "class 3 is out of range; give an index from 0 to 2"),
        ("strips", "unknown class 'strips'; did you mean 'stripes'"),
        ([], "no labels were given"),
    ],
)
def test_labels_that_are_none(model, labels, message):
    with pytest.raises(VartkError, match=message):
        model.sample(labels)


def test_classes(model):
    assert model.classes == CLASSES
    assert tiny_model(predictor=False).classes == CLASSES


def test_samples(model):
    out = model.sample(["dark", "stripes"], seed=3)
    assert out.images.shape == (2, 3, 16, 16)
    assert out.images.min() >= 0
    assert out.images.max() <= 1
    assert not out.images.requires_grad
    assert out.seeds == [3, 4]
    assert torch.allclose(out.images, (model.decode(out.codes) + 1) / 2, atol=1e-5)
    assert out.sampling.sampler.params["top_k"] == 12


def test_a_seed_gives_its_image_in_any_batch(model):
    together = model.sample([0, 1, 2, 0, 1], seed=[4, 5, 6, 7, 8], batch=2)
    alone = model.sample([2], seed=6)
    assert same([code[2] for code in together.codes], [code[0] for code in alone.codes])
    assert torch.allclose(together.images[2], alone.images[0], atol=1e-4)


def test_the_stream_is_the_sample_scale_by_scale(model):
    states = list(model.stream([0, 1], seed=9))
    out = model.sample([0, 1], seed=9)
    assert same([state.codes for state in states], out.codes)
    assert torch.equal(states[-1].images, out.images)
    assert [state.schedule.grids[state.step] for state in states] == [(1, 1), (2, 2), (4, 4)]


@pytest.mark.parametrize(
    ("settings", "slot", "expected"),
    [
        ({"guidance": 3}, "guidance", {"name": "linear", "scale": 3.0}),
        ({"guidance": np.float32(2)}, "guidance", {"name": "linear", "scale": 2.0}),
        ({"guidance": "constant"}, "guidance", {"name": "constant", "scale": 1.5}),
        (
            {"guidance": {"name": "interval", "scale": 4, "stop": 0.5}},
            "guidance",
            {"name": "interval", "scale": 4.0, "start": 0.0, "stop": 0.5, "layer": 0},
        ),
        ({"guidance": {"scale": 4}}, "guidance", {"name": "linear", "scale": 4.0}),
        ({"guidance.scale": 4}, "guidance", {"name": "linear", "scale": 4.0}),
        ({"sampler": "greedy"}, "sampler", {"name": "greedy"}),
        ({"top_k": 5}, "sampler", {"top_k": 5, "top_p": 0.96}),
        ({"smooth": True}, "sampler", {"name": "gumbel_smooth", "top_k": 12}),
        ({"smooth": True, "top_k": 3}, "sampler", {"name": "gumbel_smooth", "top_k": 3}),
        ({"smooth": False}, "sampler", {"name": "categorical"}),
        ({"cache": "full"}, "cache", {"name": "full"}),
        ({"attention": "eager"}, "attention", {"name": "eager"}),
        ({"schedule": "geometric"}, "schedule", {"name": "geometric"}),
        ({"schedule": [1, 4]}, "schedule", {"name": "custom", "grids": [1, 4]}),
        ({"schedule": (1, (2, 4), 4)}, "schedule", {"name": "custom", "grids": [1, [2, 4], 4]}),
        ({"schedule": Schedule.of([1, 4])}, "schedule", {"name": "custom", "grids": [[1, 1], [4, 4]]}),
        ({"schedule": {"name": "custom", "grids": [4]}}, "schedule", {"name": "custom", "grids": [4]}),
        ({"schedule": "model"}, "schedule", {"name": "model"}),
    ],
)
def test_settings_by_name_number_and_mapping(model, settings, slot, expected):
    sampling = model.sampling(**settings)
    chosen = getattr(sampling, slot)
    assert {"name": chosen.name, **chosen.params}.items() >= expected.items()
    assert model.sample([0, 1], **settings).images.shape == (2, 3, 16, 16)


def test_settings_take_effect(model):
    plain = model.sample([0, 1], seed=1)
    assert not same(plain.codes, model.sample([0, 1], seed=1, guidance=20).codes)
    assert not same(plain.codes, model.sample([0, 1], seed=1, top_k=1).codes)
    assert not torch.equal(plain.images, model.sample([0, 1], seed=1, smooth=True).images)
    assert same(plain.codes, model.sample([0, 1], seed=1, attention="eager").codes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guidnace": 3}, "unknown key 'guidnace'; did you mean guidance"),
        ({"sampler": "categoricl"}, "did you mean 'categorical'"),
        ({"sampler": "greedy", "top_k": 5}, "top_k"),
        ({"top_p": 2}, "top_p=2.0 is out of range"),
        ({"guidance": None}, "must be a component's name"),
        ({"schedule": None}, "must be a component's name"),
        ({"schedule": 7}, "must be a component's name"),
        ({"schedule": [1, 3]}, "ends at 3x3, but the tokenizer's latent grid at this image size is 4x4"),
        ({"random": "per-image"}, "did you mean 'per_image'"),
        ({"batch": 0}, "batch=0 is out of range"),
        ({"smooth": True, "sampler": "greedy"}, "smooth=True stands for sampler='gumbel_smooth'"),
        ({"seed": [1, 2, 3]}, "3 seeds for 2 images"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"seed": 2**63 - 1}, "seed 9223372036854775808 is out of range"),
    ],
)
def test_settings_that_are_wrong(model, settings, message):
    with pytest.raises(VartkError, match=message):
        model.sample([0, 1], **settings)


def test_other_schedules_at_call_time(model, images):
    codes = model.encode(images, schedule=[1, (2, 3), (4, 4)])
    assert [code.shape[1] for code in codes] == [1, 6, 16]
    assert model.decode(codes, schedule=[1, (2, 3), 4]).shape == (3, 3, 16, 16)
    assert model.logits([0, 1, 2], codes, schedule=[1, (2, 3), 4]).shape == (3, 23, 24)
    with pytest.raises(VartkError, match="do not fit the schedule 1, 2, 4"):
        model.decode(codes)


def test_images_that_do_not_fit(model, images):
    with pytest.raises(VartkError, match="images are 8x16 pixels, the model takes 16x16"):
        model.encode(images[:, :, :8])
    with pytest.raises(VartkError, match=r"images must be floats .* not torch\.float32 \[3, 16, 16\]"):
        model.encode(images[0])
    with pytest.raises(VartkError, match=r"not torch\.uint8"):
        model.encode(images.to(torch.uint8))
    with pytest.raises(VartkError, match="multiples of 4"):
        model.encode(images[:, :, :15])


def test_codes_and_labels_must_match(model, images):
    codes = model.encode(images)
    with pytest.raises(VartkError, match="of 3 images with 2 labels"):
        model.logits([0, 1], codes)
    with pytest.raises(VartkError, match=r"2 scales of codes .* give the 3 scales"):
        model.logits([0, 1, 2], codes[:2])
    with pytest.raises(VartkError, match="not integers from 0 to 23"):
        model.decode([codes[0] + 24])


def test_a_tokenizer_alone_says_that_it_cannot_sample(images):
    model = tiny_model(predictor=False)
    assert model.decode(model.encode(images)).shape == images.shape
    for call in (lambda: model.sample([0]), lambda: model.logits([0], []), lambda: next(model.stream([0]))):
        with pytest.raises(VartkError, match=r"tokenizer alone.*vartk train transformer"):
            call()


def test_non_square_images():
    model = tiny_model(
        image_size=[16, 8], schedule={"name": "custom", "grids": [1, [2, 1], [4, 2]]}, predictor=True
    )
    out = model.sample([0, 1])
    assert out.images.shape == (2, 3, 16, 8)
    assert [code.shape[1] for code in out.codes] == [1, 2, 8]
