"""vartk sweep."""

import json

import numpy as np
import pytest
from PIL import Image


def pixels(path):
    with Image.open(path) as image:
        return np.array(image)


@pytest.fixture
def swept(vartk, model_folder, tmp_path):
    def run(*words, out="out"):
        ran = vartk("sweep", model_folder, *words, "--out", tmp_path / out)
        assert ran.code == 0, ran.err
        return tmp_path / out, json.loads((tmp_path / out / "samples.json").read_text())

    return run


def test_every_cell_is_the_sample_of_its_settings(swept, vartk, model_folder, tmp_path):
    folder, record = swept(
        "--over", "guidance.scale=0,4", "--over", "class=dark,2", "--count", 2, "--seed", 3, "cache=full"
    )
    cells = [(cell["guidance.scale"], cell["class"], cell["seed"]) for cell in record["cells"]]
    assert cells == [(s, c, seed) for s in (0, 4) for c in ("dark", "stripes") for seed in (3, 4)]
    index = cells.index((4, "stripes", 4))
    words = ("--class", "stripes", "--seed", 4, "guidance.scale=4")
    assert vartk("sample", model_folder, *words, "--out", tmp_path / "one").code == 0
    assert (pixels(folder / f"{index:06d}.png") == pixels(tmp_path / "one" / "000000.png")).all()
    assert record["count"] == 8
    assert record["over"] == {"guidance.scale": [0, 4], "class": ["dark", "2"]}


def test_the_sheet_has_the_last_axis_along_its_columns(swept):
    folder, _ = swept("--over", "sampler.top_k=1,3,12", "--class", "light")
    wide = pixels(folder / "grid.png").shape
    tall = pixels(
        swept("--over", "sampler.top_k=1,3,12", "--over", "class=light", out="other")[0] / "grid.png"
    ).shape
    assert wide[1] > tall[1]
    assert wide[0] < tall[0]


def test_components_and_chains_as_values(swept):
    _, record = swept("--over", "cache=full,window,[window,fastvar]", "--seed", 1)
    assert [cell["sampling"]["cache"]["name"] for cell in record["cells"]] == ["full", "window", "chain"]
    assert record["over"]["cache"] == ["full", "window", ["window", "fastvar"]]


def test_what_cannot_be_swept(refused, model_folder, tmp_path):
    def message(*words):
        said = refused("sweep", model_folder, *words, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return said

    assert "required: --over" in message()
    assert "'guidance.scale' has no values" in message("--over", "guidance.scale")
    assert "'guidance.scale=' has no values" in message("--over", "guidance.scale=")
    assert "did you mean 'scale'" in message("--over", "guidance.scael=1,2")
    assert "sampler.top_p" in message("--over", "sampler.top_p=0.5,7")
    assert "unknown class 'cat'" in message("--over", "class=dark,cat")
    assert "--over class is given twice" in message("--over", "class=0", "--over", "class=1")
    assert "guidance.scale is set and varied" in message("--over", "guidance.scale=1,2", "guidance.scale=3")
    assert "class is set and varied" in message("--over", "class=0,1", "--class", 2)
    assert "is not a valid YAML value" in message("--over", "cache=[")
    said = refused("sweep", model_folder, "--over", "class=0", "--out", model_folder)
    assert "exists and is not overwritten" in said
