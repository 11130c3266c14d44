"""Training that starts from a trained model: what is taken, what is new, what does not fit."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny import CLASSES, images_folder, tiny_model

import vartk
from vartk.components import plugins
from vartk.engine.folder import load_model
from vartk.engine.tokens import Tokens
from vartk.engine.training import start_from
from vartk_registry import VartkError

NONE = Tokens(torch.empty(0, 21), torch.empty(0, dtype=torch.int64), [])
pytestmark = pytest.mark.usefixtures("one_thread")


def started(folder, **overrides):
    model, events = tiny_model(seed=1, **overrides), []
    model.tokenizer.load_state_dict(load_model(folder, plugins()).tokenizer.state_dict())
    start_from(model, folder, plugins(), events.append, NONE)
    return model, [event.removeprefix(f"train.transformer.start_from={folder}: ") for event in events]


def test_a_model_of_the_same_sort_is_taken_whole(model_folder, tmp_path):
    vartk.save(load_model(model_folder, plugins()), tmp_path / "half", dtype=torch.float16)
    model, events = started(tmp_path / "half")
    expected = load_model(tmp_path / "half", plugins()).predictor.state_dict()
    found = model.predictor.state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    assert events == ["transformer: 33 of 33 weights taken", "conditioner: 1 of 1 weights taken"]


def test_deeper_models_and_cross_attention_have_new_weights(model_folder):
    deeper = {"name": "var", "depth": 3, "width": 32, "heads": 2}
    model, events = started(model_folder, transformer=deeper)
    assert events[0].startswith("transformer: 33 of 45 weights taken; new: blocks.2.modulation.weight, ")
    expected = load_model(model_folder, plugins()).predictor.transformer.blocks[1].state_dict()
    found = model.predictor.transformer.blocks[1].state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    _, events = started(model_folder, transformer={**deeper, "depth": 2, "cross_attention": True})
    assert "; new: blocks.*.cross_norm.weight (2), blocks.*.cross_norm.bias (2)" in events[0]


def test_taken_weights_can_learn_at_a_rate_of_their_own(vartk, model_folder, tmp_path):
    """With taken_lr=0 they stay, in a resumed run too; the new ones learn."""
    images, out = images_folder(tmp_path / "images"), tmp_path / "run"
    words = ["train", "transformer", model_folder / "model.yaml", "dataset=folder", f"dataset.path={images}"]
    words += ["--tokenizer", model_folder, "--out", out, "train.transformer.batch=3", "transformer.depth=3"]
    words += ["train.transformer.lr=1e-2", "train.transformer.warmup=0"]
    start = [f"train.transformer.start_from={model_folder}", "train.transformer.taken_lr=0"]
    assert vartk(*words, *start, "train.transformer.steps=1").code == 0
    first = load_file(out / "model" / "transformer.safetensors")
    assert vartk(*words[:9], "--resume", "train.transformer.steps=2").code == 0
    before, after = (
        load_file(folder / "transformer.safetensors") for folder in (model_folder, out / "model")
    )
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
    name = "transformer.blocks.2.ffn.fc1.weight"
    assert (first[name] - after[name]).abs().max() > 1e-3


def test_a_model_of_twice_the_size_starts_as_the_small_one_samples_it(model_folder):
    large = {"image_size": 32, "schedule": {"name": "custom", "grids": [1, 2, 8]}}
    model, events = started(model_folder, **large)
    assert events[0] == "transformer: 33 of 33 weights taken; places moved from the scales 1, 2, 4 to 1, 2, 8"
    small = load_model(model_folder, plugins())
    settings = {"random": "per_image", "seed": 3, "precision": "plain"}
    expected = small.sample([0, 2], size=32, **settings)
    assert torch.equal(model.sample([0, 2], **settings).images, expected.images)


def test_other_classes_are_new(model_folder):
    model, events = started(model_folder, classes=[*CLASSES, "dots"])
    assert events[1] == "conditioner: new, for 4 classes that are not those of the trained model"
    assert model.predictor.conditioner.embedding.weight.shape == (5, 32)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"transformer": {"name": "var", "depth": 1, "width": 32, "heads": 2}},
            r"does not fit: it has blocks\.1\..*, which the new transformer does not; .* and 7 more; take",
        ),
        (
            {"transformer": {"name": "var", "depth": 2, "width": 64, "heads": 2}},
            r"has start_position as \[1, 1, 32\], the new .* \[1, 1, 64\]",
        ),
    ],
)
def test_what_does_not_fit_is_named(model_folder, overrides, message):
    with pytest.raises(VartkError, match=message):
        started(model_folder, **overrides)


def test_another_tokenizer_is_told(model_folder, tokenizer_folder):
    events = []
    start_from(tiny_model(seed=1), model_folder, plugins(), events.append, NONE)
    assert "its tokenizer is not the one that this training uses" in events[0]
    assert events[0].endswith(f"give --tokenizer {model_folder}")
    assert "33 of 33 weights taken" in events[1]
    with pytest.raises(VartkError, match="it is a tokenizer alone; give a model with a transformer"):
        started(tokenizer_folder)


def test_the_command_starts_there_and_a_resumed_run_goes_on_without_it(vartk, model_folder, tmp_path):
    images, out = images_folder(tmp_path / "images"), tmp_path / "run"
    words = ["train", "transformer", model_folder / "model.yaml", "dataset=folder", f"dataset.path={images}"]
    words += ["--tokenizer", model_folder, "--out", out, f"train.transformer.start_from={model_folder}"]
    words += ["train.transformer.batch=3", "train.transformer.lr=1e-9", "train.transformer.steps=1"]
    ran = vartk(*words)
    assert ran.code == 0, ran.err
    assert "transformer: 33 of 33 weights taken" in ran.err
    before, after = (
        load_model(folder, plugins()).predictor.transformer.state_dict()
        for folder in (model_folder, out / "model")
    )
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, atol=1e-6, rtol=0)
    gone, more = "train.transformer.start_from=/nowhere", "train.transformer.steps=2"
    ran = vartk(*words[:9], "--resume", more, gone)
    assert ran.code == 0, ran.err
    last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 2


def test_a_model_that_is_not_there_is_refused_before_the_run_is_made(refused, model_folder, tmp_path):
    words = ["train", "transformer", "demo", "--tokenizer", model_folder, "--out", tmp_path / "run"]
    assert "nowhere" in refused(*words, "train.transformer.start_from=nowhere")
    assert not (tmp_path / "run").exists()
