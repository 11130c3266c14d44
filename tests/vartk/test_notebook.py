"""What a notebook shows: images, models in a few lines, components, bars."""

import io

import numpy as np
import pytest
import shards
import torch
from PIL import Image
from tiny import images_folder, tiny_model

import vartk
from vartk.components import plugins
from vartk_registry import KINDS, VartkError
from vartk_registry.interfaces import CodeSpace, Schedule
from vartk_registry.testing import Averages, Codebook


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_samples_show_their_images_in_rows(model):
    samples = model.sample([0, 1, 2] * 3, seed=5)
    with Image.open(io.BytesIO(samples._repr_png_())) as picture:
        pixels = np.asarray(picture)
    side, gap = 96, 2  # each pixel of the 16 is repeated 6 times; 8 images in a row
    assert pixels.shape == (2 * side + gap, 8 * side + 7 * gap, 3)
    for index in (0, 7, 8):
        top, left = (index // 8) * (side + gap), (index % 8) * (side + gap)
        shown = pixels[top : top + side : 6, left : left + side : 6]
        expected = (samples.images[index].permute(1, 2, 0) * 255).round().byte().numpy()
        assert np.array_equal(shown, expected)


def test_samples_are_a_line_of_text(model):
    assert repr(model.sample([0, 1, 2], seed=5)) == "3 images of 16x16 pixels, seeds 5-7"
    assert repr(model.sample([0, 1, 2], seed=[4, 9, 10])) == "3 images of 16x16 pixels, seeds 4, 9-10"


def test_a_model_says_what_it_is_made_of(model):
    count = sum(weight.numel() for weight in model.predictor.parameters())
    assert repr(model).splitlines() == [
        "Model: 16x16 pixels, 3 classes, on cpu",
        f"  tokenizer    var_vqvae with quantizer vq, {size(model.tokenizer)} K parameters",
        "  schedule     1, 2, 4",
        f"  transformer  var with conditioner class, {count / 1e3:.1f} K parameters",
        "  sampling     guidance linear, sampler categorical, cache full",
    ]
    assert repr(vartk.load("emoji64")).splitlines()[0] == "Model: 64x64 pixels, 45 classes, on cpu"


def size(module):
    return f"{sum(weight.numel() for weight in module.parameters()) / 1e3:.1f}"


def test_a_tokenizer_alone_says_so_by_what_it_lacks():
    text = repr(tiny_model(predictor=False))
    assert "tokenizer " in text
    assert "transformer" not in text


RUNTIME = {
    "schedule": {},
    "attention": {},
    "cache": {},
    "guidance": {},
    "sampler": {},
    "metric": {},
    "importer": {},
    "feature": {},
    "discriminator": {},
    "quantizer": {"dim": 4},
    "tokenizer": {"quantizer": Codebook},
    "transformer": {"schedule": Schedule.of((1, 2, 4)), "space": CodeSpace(8), "channels": 4},
    "conditioner": {"width": 16, "classes": ["cat", "dog"]},
    "generator": {"classes": ["cat", "dog"], "image_size": (16, 16), "tokenizer": Averages()},
    "dataset": {"split": "train"},
    "logger": {"config": {}, "step": 0},
}
"""What a component of each kind is built with beside its parameters."""


DOWNLOADED = {"diffusers", "dino", "inception", "lpips"}
"""Components that are built of downloaded weights; all are modules, which torch shows."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_component_says_what_it_is(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    photos = images_folder(tmp_path / "photos")
    shards.shard(tmp_path / "0.tar", {"0.png": shards.image(1), "0.cls": "0"})
    needed = {"folder": {"path": str(photos)}, "webdataset": {"train": str(tmp_path / "0.tar")}}
    runtime = {**RUNTIME[kind], **({"folder": tmp_path / "log"} if kind == "logger" else {})}
    registry = plugins().registry
    for spec in registry.specs(kind):
        if registry.missing(spec) or spec.name in DOWNLOADED:
            continue
        built = registry.build(kind, spec.name, {**spec.check_with, **needed.get(spec.name, {})}, **runtime)
        text = repr(built)
        assert " at 0x" not in text, text
        if not isinstance(built, torch.nn.Module):  # torch shows a line a layer
            assert "\n" not in text, text
        if kind == "logger":
            built.close()


def test_a_component_without_a_repr_shows_kind_name_and_arguments(tmp_path):
    registry = plugins().registry
    photos = images_folder(tmp_path / "photos", train=9)
    dataset = registry.build("dataset", "folder", {"path": str(photos)}, split="train")
    assert repr(dataset) == f"dataset folder(path='{photos}', split='train'), 9 examples"
    assert repr(registry.build("metric", "psnr", {})) == "metric psnr()"
    assert repr(type(registry.build("metric", "psnr", {}))()) == "PSNR()"


def test_a_bar_counts_the_images(model, capsys):
    done = []
    model.sample([0] * 6, batch=4, progress=True, watch=lambda images, state: done.append(images))
    shown = capsys.readouterr().err
    assert "6/6 images" in shown
    assert "scale 3/3" in shown
    assert len(done) == 6


def test_no_bar_is_shown_unless_it_is_asked_for(model, capsys):
    model.sample([0])
    assert capsys.readouterr().err == ""
    with pytest.raises(VartkError, match="progress='yes' must be True or False"):
        model.sample([0], progress="yes")


def test_a_notebook_shows_samples(model):
    """As IPython asks an object, which is not installed everywhere."""
    formatters = pytest.importorskip("IPython.core.formatters")
    data, _ = formatters.DisplayFormatter().format(model.sample([0]))
    assert set(data) == {"text/plain", "image/png"}
