"""What Python callers may give to a model's methods, and what they are told where they may not."""

import math

import numpy as np
import pytest
import torch
from tiny import tiny_model

import vartk as package
from vartk.engine.arguments import as_images, as_labels, seeds_of
from vartk_registry import VartkError

NAN = math.nan
CPU = torch.device("cpu")
NUMBERS = ("temperature", "top_p")
SLOTS = ("guidance", "sampler", "cache", "attention")


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def codes(model, images):
    return model.encode(images)


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (5, [5, 6]),
        (np.int64(5), [5, 6]),
        (torch.tensor(5), [5, 6]),
        ([5, 1], [5, 1]),
        (range(2), [0, 1]),
        (np.array([3, 2]), [3, 2]),
        (torch.tensor([3, 2]), [3, 2]),
        (iter([3, 2]), [3, 2]),
        ([np.int64(3), 2**63 - 1], [3, 2**63 - 1]),
    ],
)
def test_seeds(seed, expected):
    seeds = seeds_of(seed, 2)
    assert seeds == expected
    assert {type(each) for each in seeds} == {int}


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        *(
            (seed, r"seed .* is no integer; give one, as in seed=3")
            for seed in (
                *("a", "12", b"ab", True, None, 2.0, NAN, math.inf, 1j, object(), {1, 2}, {1: 2, 3: 4}),
                *(["a", 1], [None, 1], [True, 1], [1.5, 2], [NAN, 1], [[1], [2]], "ab"),
                *(torch.tensor([1.0, 2.0]), torch.tensor([[1, 2]]), np.array([[1], [2]]), np.float64(1)),
            )
        ),
        ([], "0 seeds for 2 images"),
        ([1, 2, 3], "3 seeds for 2 images"),
        (-1, "seed -1 is out of range"),
        (2**63 - 1, "seed 9223372036854775808 is out of range"),
        (2**200, r"seed \d+ is out of range; it must be from 0 to 2\^63 - 1"),
    ],
)
def test_seeds_that_are_none(model, seed, message):
    for call in (model.sample, model.stream):
        with pytest.raises(VartkError, match=message):
            call([0, 1], seed=seed)


@pytest.mark.parametrize(
    "labels", ["ab", 1, [1], (1,), np.array(1), np.array([1]), torch.tensor(1), iter([1])]
)
def test_labels(labels):
    assert as_labels(labels) == ["ab" if isinstance(labels, str) else 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, r"labels=None is no list; give one class index or name an image, as in \[0, 1\]"),
        ({0, 1}, "is no list"),
        *(
            (labels, "is neither an index nor a name")
            for labels in (1.0, NAN, True, 1j, b"dark", object(), [1.0], [True], [[0, 1]], [b"dark"])
        ),
        (torch.tensor([1.0]), "class 1.0 is neither an index nor a name"),
        (torch.tensor([[0, 1]]), r"class \[0, 1\] is neither an index nor a name"),
        (np.array([0.5]), "class 0.5 is neither an index nor a name"),
        ("", "unknown class ''"),
        ((), "no labels were given"),
        (torch.tensor([]), "no labels were given"),
        (2**70, "is out of range"),
        (-1, "is out of range"),
    ],
)
def test_labels_that_are_none(model, codes, labels, message):
    for call in (model.parse, model.sample, model.stream, lambda labels: model.logits(labels, codes)):
        with pytest.raises(VartkError, match=message):
            call(labels)


def test_images_of_any_precision(model, images, codes):
    halves = images.half()
    for given in (halves, halves.float(), halves.double(), halves.clone().requires_grad_()):
        assert torch.equal(torch.cat(model.encode(given), 1), torch.cat(model.encode(halves.float()), 1))
    assert [code.shape for code in model.encode(images[:0])] == [(0, 1), (0, 4), (0, 16)]
    assert as_images(images * 1.2, CPU).max() > 1  # as resizing may overshoot


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: None, "as a torch.Tensor, not None"),
        (lambda images: images.numpy(), "as a torch.Tensor, not a ndarray"),
        (lambda images: images.tolist(), "as a torch.Tensor, not a list"),
        (lambda images: [images], "as a torch.Tensor, not a list"),
        (lambda images: images[0], r"not torch\.float32 \[3, 16, 16\]"),
        (lambda images: images.permute(0, 2, 3, 1), r"not torch\.float32 \[2, 16, 16, 3\]"),
        (
            lambda images: images.to(torch.uint8),
            r"not torch\.uint8 .*; give 8-bit pixels as pixels / 127",
        ),
        (lambda images: images.to(torch.complex64), r"not torch\.complex64"),
        (lambda images: images.to("meta"), r"\(torch\.strided, on meta\)"),
        (lambda images: images.to_sparse(), r"\(torch\.sparse_coo, on cpu\)"),
        (lambda images: (images + 1) * 127.5, r"not from .* to .*; give 8-bit pixels as pixels / 127\.5 - 1"),
        (lambda images: torch.where(images > 0.9, NAN, images), "some are NaN or infinite"),
        (lambda images: torch.where(images > 0.9, -math.inf, images), "some are NaN or infinite"),
    ],
)
def test_images_that_are_none(model, images, change, message):
    with pytest.raises(VartkError, match=rf"images must be floats \[N, 3, H, W\] in \[-1, 1\].*{message}"):
        model.encode(change(images))


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.uint16, torch.int32, torch.uint64])
def test_codes_of_any_integers(model, codes, dtype):
    given = tuple(code.to(dtype) for code in codes)
    assert torch.equal(model.decode(given), model.decode(codes))
    assert torch.equal(model.logits([0, 1], given), model.logits([0, 1], codes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda codes: None, "not None"),
        (lambda codes: codes[2], "not a Tensor"),
        (lambda codes: dict(enumerate(codes)), "not a dict"),
        (lambda codes: iter(codes), "not <list_iterator"),
        (lambda codes: [code.numpy() for code in codes], r"scale 0 is array\("),
        (lambda codes: [code.tolist() for code in codes], r"scale 0 is \[\["),
        (lambda codes: [*codes[:2], None], "scale 2 is None"),
        (lambda codes: [code.float() for code in codes], r"scale 0 is torch\.float32"),
        (lambda codes: [code.bool() for code in codes], r"scale 0 is torch\.bool"),
        (lambda codes: [code.to(torch.complex64) for code in codes], r"scale 0 is torch\.complex64"),
        (lambda codes: [code.to("meta") for code in codes], r"scale 0 is torch\.int64 .*on meta"),
    ],
)
def test_codes_that_are_none(model, codes, change, message):
    wrong = rf"codes must be a list with a tensor of integers for each scale, .*{message}"
    with pytest.raises(VartkError, match=wrong):
        model.decode(change(codes))
    with pytest.raises(VartkError, match=wrong):
        model.logits([0, 1], change(codes))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smooth": "yes"}, "smooth='yes' must be True or False"),
        ({"smooth": None}, "smooth=None must be True or False"),
        ({"guidance": True}, "guidance"),
        ({"schedule": [True, 4]}, "schedule"),
        ({"schedule": torch.tensor([1, 4])}, "schedule"),
        *(({name: math.inf}, f"{name}=inf is out of range; it must be finite and") for name in NUMBERS),
        *(({name: NAN}, f"{name}=nan is out of range; it must be finite and") for name in NUMBERS),
        *(({name: -1}, f"{name}=-1.0 is out of range; it must be") for name in NUMBERS),
        *(({name: "x"}, f"{name}='x' must be a number") for name in NUMBERS),
        *(({name: [1.0]}, rf"{name}=\[1\.0\] must be a number") for name in NUMBERS),
        ({"guidance.scale": math.inf}, "scale=inf is out of range; it must be finite and at least 0"),
        ({"top_k": 1.5}, "top_k=1.5 must be a whole number"),
        ({"top_k": NAN}, "top_k=nan must be a whole number"),
        ({"batch": 0}, "batch=0 is out of range; it must be at least 1"),
        ({"batch": None}, "batch"),
        ({"random": "x"}, "random='x'. Valid: per_image, shared"),
        ({"precision": "fp64"}, "precision='fp64'"),
        ({"compile": "x"}, "compile='x' must be true or false"),
        ({"preset": "x"}, "no configuration 'x'"),
        ({"preset": "demo"}, "preset=demo is no preset of sampling"),
        ({"nothing": 1}, "unknown key 'nothing'"),
        ({"schedule": []}, "needs grids"),
        ({"schedule": [0, 4]}, r"grids\[0\]"),
        ({"schedule": [NAN]}, r"grids\[0\]=nan is out of range; it must be finite"),
        *(({f"{slot}.name": 3}, f"{slot}=.* must be a component's name") for slot in SLOTS),
        *(({f"{slot}.name": np.zeros((2, 2))}, f"{slot}=.* must be a component's name") for slot in SLOTS),
        *(({slot: None}, f"{slot}=None must be a component's name") for slot in SLOTS),
        *(({slot: "x"}, f"unknown {slot} 'x'") for slot in SLOTS),
    ],
)
def test_settings_of_another_type(model, settings, message):
    for call in (model.sampling, lambda **settings: model.sample([0], **settings)):
        if call != model.sampling or "schedule" not in settings:  # which is built where it is needed
            with pytest.raises(VartkError, match=message):
                call(**settings)


@pytest.mark.parametrize("value", ["${x}", "${oc.env:HOME}", ["${x}"]])
@pytest.mark.parametrize("name", [*NUMBERS, "top_k", "batch", "random", "guidance.scale"])
def test_references_to_other_keys_are_for_files(model, name, value):
    with pytest.raises(VartkError, match=r"=.*\$\{.* refers to another key, as only a YAML file can; give"):
        model.sample([0], **{name: value})


def test_messages_do_not_print_the_numbers_of_a_tensor(model, codes, tmp_path):
    long = torch.rand(2, 3, 16, 16)
    calls = {
        "labels": lambda: model.sample(long),
        "seed": lambda: model.sample([0], seed=long),
        "strategy": lambda: model.stream([0], strategy=long),
        "refiner": lambda: model.sample([0], refiner=long, draft=1),
        "draft": lambda: model.sample([0], refiner=model, draft=long),
        "codes": lambda: model.logits([0, 1], long),
        "schedule": lambda: model.decode(codes, long),
        "device": lambda: model.to(long),
        "card": lambda: package.save(model, tmp_path / "model", long),
        "name": lambda: package.load(long),
        **{slot: lambda slot=slot: model.sampling(**{slot: long}) for slot in SLOTS},
        **{name: lambda name=name: model.sampling(**{name: long}) for name in (*NUMBERS, "smooth", "random")},
    }
    for name, call in calls.items():
        with pytest.raises(VartkError) as caught:
            call()
        assert len(str(caught.value)) < 300, (name, str(caught.value))


@pytest.mark.parametrize("draft", ["a", 1.5, True, NAN, [1], -1, 4])
def test_a_draft_that_is_no_number_of_scales(model, draft):
    with pytest.raises(VartkError, match=r"draft=.* is out of range; give 0 to 3 scales"):
        model.sample([0], refiner=model, draft=draft)


@pytest.mark.parametrize("strategy", ["full", 3, object])
def test_a_strategy_that_is_none(model, strategy):
    with pytest.raises(VartkError, match=r"strategy=.* is no CacheStrategy; name a cache"):
        model.stream([0], strategy=strategy)


@pytest.mark.parametrize("device", ["x", "", None, True, NAN, [], "meta", -1, 2**70, "cpu!"])
def test_devices_that_are_none(model, model_folder, device):
    for call in (model.to, lambda device: package.load(model_folder, device=device)):
        with pytest.raises(VartkError, match=r"device '.*' cannot be used here"):
            call(device)
    assert model.device == CPU


@pytest.mark.parametrize("name", [None, 3, b"x", "", "a\0b", [], tiny_model])
def test_names_that_are_no_path(model, name):
    with pytest.raises(VartkError, match="is no folder or name of a model; give it as a str or a Path"):
        package.load(name)
    with pytest.raises(VartkError, match="is no folder to save a model in; give it as a str or a Path"):
        package.save(model, name)


def test_a_name_that_is_too_long_for_a_file():
    with pytest.raises(VartkError, match=r"the path 'xxx.* cannot be used: File name too long"):
        package.load("x" * 300)


@pytest.mark.parametrize(
    "dtype",
    ["float16", "torch.float16", None, 16, float, np.float16, torch.int8, torch.bool, torch.complex64],
)
def test_types_that_weights_cannot_have(model, dtype, tmp_path):
    with pytest.raises(VartkError, match=r"dtype=.* is no type of weights; give torch\.float32"):
        package.save(model, tmp_path / "model", dtype=dtype)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("thing", [None, "model", 3])
def test_saving_what_is_no_model(thing, tmp_path):
    with pytest.raises(VartkError, match="is no model to save; give one that"):
        package.save(thing, tmp_path / "model")


def test_a_card_that_is_no_text(model, tmp_path):
    with pytest.raises(VartkError, match=r"card=3 must be the text of a README\.md"):
        package.save(model, tmp_path / "model", 3)
    assert list(tmp_path.iterdir()) == []
