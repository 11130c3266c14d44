"""A tokenizer's training that starts from a trained tokenizer."""

import json

import pytest
import torch
from tiny import images_folder, tiny_model

from vartk.components import plugins
from vartk.engine.folder import load_model
from vartk.engine.training import start_tokenizer
from vartk_registry import VartkError

OTHER = {"name": "bsq_vae", "channels": 32, "multipliers": [1, 1, 1], "blocks": 1, "latent": 4}
pytestmark = pytest.mark.usefixtures("one_thread")


def started(folder, **overrides):
    model, events = tiny_model(seed=1, **overrides), []
    drawn = {name: weight.clone() for name, weight in model.tokenizer.state_dict().items()}
    start_tokenizer(model, folder, plugins(), events.append)
    (event,) = events
    return drawn, model.tokenizer.state_dict(), event.removeprefix(f"train.tokenizer.start_from={folder}: ")


def test_a_tokenizer_is_taken_whole_from_a_model_or_alone(model_folder, tokenizer_folder):
    for folder in (model_folder, tokenizer_folder):
        _, found, event = started(folder)
        expected = load_model(folder, plugins()).tokenizer.state_dict()
        assert all(torch.equal(found[name], weight) for name, weight in expected.items())
        assert event == f"{len(expected)} of {len(expected)} weights taken"


def test_another_quantizer_keeps_its_own_weights(tokenizer_folder):
    drawn, found, event = started(tokenizer_folder, quantizer={"name": "simvq", "classes": 16})
    expected = load_model(tokenizer_folder, plugins()).tokenizer.state_dict()
    for name, weight in found.items():
        assert torch.equal(weight, (drawn if name.startswith("quantizer.") else expected)[name]), name
    assert "weights taken; new: quantizer." in event


def test_what_does_not_fit_is_named(tokenizer_folder):
    with pytest.raises(
        VartkError, match=r"its tokenizer does not fit: it has .* as \[.*take the settings of its "
    ):
        started(tokenizer_folder, quantizer={"name": "vq", "classes": 8})
    with pytest.raises(
        VartkError, match=r"is 'var_vqvae', and this one is 'bsq_vae'; take tokenizer=var_vqvae"
    ):
        started(tokenizer_folder, tokenizer=OTHER, quantizer={"name": "bsq"})


def test_the_command_starts_there_and_a_resumed_run_goes_on_without_it(vartk, tokenizer_folder, tmp_path):
    images, out = images_folder(tmp_path / "images"), tmp_path / "run"
    words = [
        "train",
        "tokenizer",
        tokenizer_folder / "model.yaml",
        "dataset=folder",
        f"dataset.path={images}",
    ]
    words += ["--out", out, "train.tokenizer.batch=3", "train.tokenizer.lr=1e-9"]
    ran = vartk(*words, "train.tokenizer.steps=1", f"train.tokenizer.from={tokenizer_folder}")
    assert ran.code == 0, ran.err
    assert "weights taken" in ran.err
    before, after = (
        load_model(folder, plugins()).tokenizer.state_dict() for folder in (tokenizer_folder, out / "model")
    )
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, atol=1e-6, rtol=0)
    ran = vartk(*words[:7], "--resume", "train.tokenizer.steps=2", "train.tokenizer.start_from=/nowhere")
    assert ran.code == 0, ran.err
    assert json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 2


def test_a_tokenizer_that_is_not_there_is_refused_before_the_run_is_made(refused, tmp_path):
    words = ["train", "tokenizer", "demo", "--out", tmp_path / "run"]
    assert "nowhere" in refused(*words, "train.tokenizer.start_from=nowhere")
    assert not (tmp_path / "run").exists()
