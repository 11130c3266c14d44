"""vartk outpaint."""

import json

import numpy as np
import pytest
from PIL import Image


def pixels(path):
    with Image.open(path) as image:
        return np.array(image)


@pytest.fixture
def photo(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_wide_canvas(vartk, model_folder, photo, tmp_path):
    out = tmp_path / "out"
    words = ("--canvas", "2x1", "--at", "right", "--count", 2, "--class", "light")
    ran = vartk("outpaint", model_folder, photo, *words, "--out", out, "--json")
    assert ran.code == 0, ran.err
    made = pixels(out / "000001.png")
    assert made.shape == (16, 40, 3)
    assert (made[:, 20:] == pixels(photo)).all()
    record = json.loads(ran.out)
    assert record == json.loads((out / "samples.json").read_text())
    assert (record["canvas"], record["at"], record["fit"]) == ([2, 1], "right", "tile")
    assert "outpaint 2/2 scale 3/3 (4x4)" in ran.err


def test_the_whole_canvas_at_once(vartk, model_folder, photo, tmp_path):
    words = ("--canvas", "2x2", "--fit", "pad", "--composite", "codes", "guidance.scale=3")
    assert vartk("outpaint", model_folder, photo, *words, "--out", tmp_path / "out").code == 0
    assert pixels(tmp_path / "out" / "000000.png").shape == (32, 40, 3)


def test_what_cannot_be_painted(refused, model_folder, photo, tmp_path):
    def message(*words):
        said = refused("outpaint", model_folder, photo, *words, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return said

    assert "required: --canvas" in message()
    assert "'2' is no canvas" in message("--canvas", "2")
    assert "'0.5x1' is no canvas" in message("--canvas", "0.5x1")
    assert "leaves nothing to draw around 20x16" in message("--canvas", "1x1")
    assert "invalid choice: 'east'" in message("--canvas", "2x1", "--at", "east")
    assert "no window of 30x30 pixels" in message("--canvas", "2x1", "--window", 30)
    assert "unknown class 'cat'" in message("--canvas", "2x1", "--class", "cat")
    assert "exists and is not overwritten" in refused(
        "outpaint", model_folder, photo, "--canvas", "2x1", "--out", tmp_path
    )
