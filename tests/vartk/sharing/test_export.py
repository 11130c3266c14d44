"""vartk export: what it writes is read again, by the original's names or as one file."""

import json

import golden
import originals
import pytest
import torch
from safetensors import safe_open
from tiny import CONFIG, tiny_model

import vartk as toolkit
from vartk.hub import convert

KEPT_FOR_TRAINING = {"quantize.ema_vocab_hit_SV"}
"""Counts of codes in the original's training; vartk has none of them."""


@pytest.mark.parametrize("name", golden.NAMES)
def test_the_originals_files_come_back_equal(vartk, tmp_path, name):
    folder = originals.converted(tmp_path, name)
    assert vartk("export", folder, "--to", "original", "--out", tmp_path / "out").code == 0
    for file, part in (("vae.pth", "vae"), ("var.pth", "var")):
        exported = torch.load(tmp_path / "out" / file, weights_only=True)
        original = originals.state(name, part)
        assert exported.keys() == original.keys() - KEPT_FOR_TRAINING
        for key, weight in exported.items():
            assert torch.equal(weight, original[key]), key


def test_an_exported_model_is_the_same_model(vartk, tmp_path):
    toolkit.save(tiny_model(), tmp_path / "model")
    assert vartk("export", tmp_path / "model", "--to", "original", "--out", tmp_path / "out").code == 0
    convert(tmp_path / "out" / "vae.pth", tmp_path / "out" / "var.pth", tmp_path / "again")
    first, again = (toolkit.load(tmp_path / each) for each in ("model", "again"))
    codes = first.sample([0, 1, 2], seed=3, guidance=1.5, top_k=0, top_p=0.0).codes
    assert all(
        map(torch.equal, codes, again.sample([0, 1, 2], seed=3, guidance=1.5, top_k=0, top_p=0.0).codes)
    )


def test_one_file_holds_weights_and_configuration(vartk, tmp_path):
    model = tiny_model()
    toolkit.save(model, tmp_path / "model")
    assert vartk("export", tmp_path / "model", "--to", "safetensors", "--out", tmp_path / "out").code == 0
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        config = json.loads(file.metadata()["vartk"])
        for part, module in (("tokenizer", model.tokenizer), ("transformer", model.predictor)):
            for key, weight in module.state_dict().items():
                assert torch.equal(file.get_tensor(f"{part}.{key}"), weight)
    assert config["transformer"]["depth"] == CONFIG["transformer"]["depth"]


def test_what_the_original_lacks_is_named(refused, tmp_path):
    toolkit.save(toolkit.load("emoji64"), tmp_path / "model")
    message = refused("export", tmp_path / "model", "--to", "original", "--out", tmp_path / "out")
    assert "the original VAR has no transformer.patch=2, so this model cannot be exported to it" in message
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_is_refused_with_the_known_ones(refused, tmp_path):
    toolkit.save(tiny_model(), tmp_path / "model")
    message = refused("export", tmp_path / "model", "--to", "safetensor", "--out", tmp_path / "out")
    assert "unknown format to export a model to 'safetensor'; did you mean 'safetensors'?" in message
    assert "Valid: onnx-decoder, original, safetensors, var" in message
