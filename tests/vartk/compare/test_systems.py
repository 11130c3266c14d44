"""Whole systems side by side."""

import json

import pytest
import tiny
from PIL import Image

from vartk.engine.folder import save_model
from vartk.engine.recipes import train_generator

pytestmark = pytest.mark.usefixtures("one_thread")

DIT = {"name": "dit", "depth": 1, "heads": 2, "head_dim": 16, "noise_steps": 20, "steps": 3}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny.images_folder(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def dit(images):
    """The run of a diffusion transformer."""
    tokenizer = images.parent / "tokenizer"
    save_model(tiny.tiny_model(predictor=False), tokenizer)
    stage = {f"train.generator.{key}": 2 for key in ("steps", "batch", "eval_images")}
    composed = tiny.tiny_composed(images, generator=DIT, **stage)
    out = images.parent / "dit"
    train_generator(composed, tokenizer, out, reporter=tiny.Quiet(), device="cpu")
    return out


def test_a_next_scale_model_beside_a_diffusion_transformer(vartk, eyes, model_folder, dit, images, tmp_path):
    ran = vartk(
        "compare", model_folder, f"feature={eyes}", "metrics=[fd]",
        "dataset=folder", f"dataset.path={images}", "--system", dit,
        "--system", f"{dit} generator.steps=1 generator.guidance=1",
        "--count", 6, "--batch", 4, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    made = json.loads(ran.out.splitlines()[-1])
    names = [row["name"] for row in made["systems"]]
    assert names == ["tiny", "dit", "dit generator.steps=1 generator.guidance=1"]
    assert [row["sampling"]["generator"]["steps"] for row in made["systems"][1:]] == [3, 1]
    for row in made["systems"]:
        assert row["seconds_per_image"]["median"] > 0
        assert row["first_image_seconds"] > 0
        assert row["parameters"] > 1000
        assert row["peak_memory_bytes"] > 2**20
        assert row["fd"] > 0
    assert made["systems"][0]["speedup"] == 1
    assert made["real_images"]["n"] == 4
    text = (tmp_path / "out" / "compare.md").read_text()
    assert "| dit generator.steps=1 generator.guidance=1 |" in text
    assert "vartk compare" in text.splitlines()[3]
    with Image.open(tmp_path / "out" / "strips.png") as picture:
        assert picture.height > picture.width / 4


def test_chosen_classes_are_not_compared_with_real_images(vartk, model_folder, dit, tmp_path):
    words = ["--system", dit, "--class", "dark,light", "--count", 2, "--out", tmp_path / "out"]
    ran = vartk("compare", model_folder, *words)
    assert ran.code == 0, ran.err
    assert "left out: the images have other classes" in ran.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--system", "{dit} guidance.scale=3"], "unknown key 'guidance'"),
        (["--system", "generator.steps=3"], "names no model"),
        (["--system", "{dit}", "--system", "{dit}"], "is there twice"),
        (["--system", "{dit}", "--cache", "full"], "leave --way, --cache and --published out"),
        (["--system", "emoji64"], "compare systems of the same classes"),
        (["--system", "nothing"], "no model 'nothing'"),
    ],
    ids=str,
)
def test_what_cannot_be_compared(refused, model_folder, dit, tmp_path, words, message):
    words = [word.format(dit=dit) for word in words]
    assert message in refused("compare", model_folder, *words, "--count", 2, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
