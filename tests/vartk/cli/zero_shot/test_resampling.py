"""vartk vary, vartk upscale and vartk interpolate."""

import json

import numpy as np
import pytest
from PIL import Image


def pixels(path):
    with Image.open(path) as image:
        return np.array(image).astype(int)


def record(folder):
    return json.loads((folder / "samples.json").read_text())


@pytest.fixture
def photos(tmp_path):
    """Smooth pictures of several sizes, by name."""
    paths = {}
    for name, (h, w) in {"own": (16, 16), "other": (16, 16), "wide": (20, 50), "tiny": (3, 3)}.items():
        small = np.random.default_rng(len(paths)).integers(60, 200, (4, 4, 3), dtype=np.uint8)
        paths[name] = tmp_path / f"{name}.png"
        Image.fromarray(small).resize((w, h), Image.Resampling.BICUBIC).save(paths[name])
    return paths


@pytest.fixture
def made(vartk, model_folder, tmp_path):
    """Run a command into a new folder, and return it."""

    def run(command, *words, out="out"):
        ran = vartk(command, model_folder, *words, "--out", tmp_path / out)
        assert ran.code == 0, ran.err
        return tmp_path / out

    return run


def test_a_variation_that_keeps_all_scales_is_the_reconstruction(made, photos, vartk, model_folder, tmp_path):
    folder = made("vary", photos["own"], "--keep", 3, "--class", "1")
    vartk("reconstruct", model_folder, photos["own"], "--out", tmp_path / "rec")
    assert abs(pixels(folder / "000000.png") - pixels(tmp_path / "rec" / "own.png")).max() <= 1
    assert {path.name for path in folder.iterdir()} == {
        "000000.png",
        "grid.png",
        "input.png",
        "samples.json",
    }


def test_a_variation_that_keeps_none_is_a_sample(made, photos):
    folder = made("vary", photos["own"], "--keep", 0, "--class", "1", "--seed", 5)
    sampled = made("sample", "--class", "1", "--seed", 5, out="sampled")
    assert abs(pixels(folder / "000000.png") - pixels(sampled / "000000.png")).max() <= 1


def test_variations_of_a_wide_picture(made, photos):
    folder = made("vary", photos["wide"], "--keep", 2, "--count", 2, "guidance.scale=2", "--fit", "stretch")
    assert pixels(folder / "000001.png").shape == (20, 50, 3)
    assert (record(folder)["keep"], record(folder)["fit"], record(folder)["seeds"]) == (2, "stretch", [0, 1])


def test_an_enlarged_picture_shows_the_same_as_the_small_one(made, photos):
    folder = made("upscale", photos["wide"], "--factor", 1.5, "--class", "2")
    with Image.open(folder / "000000.png") as large, Image.open(photos["wide"]) as small:
        assert large.size == (75, 30)
        back = np.asarray(large.resize(small.size, Image.Resampling.BICUBIC)).astype(int)
        assert abs(back - np.asarray(small)).mean() < 4
    assert (record(folder)["factor"], record(folder)["keep"]) == (1.5, None)


def test_between_two_pictures(made, photos):
    folder = made("interpolate", photos["own"], photos["other"], "--steps", 3)
    images = [pixels(folder / f"{index:06d}.png") for index in range(3)]
    nearer, farther = (abs(images[index] - images[0]).mean() for index in (1, 2))
    assert 0 < nearer < farther
    assert record(folder)["seeds"] == [0, 0, 0]


def test_between_two_classes(made):
    folder = made("interpolate", "dark", "2", "--steps", 2, "--seed", 3)
    sampled = made("sample", "--class", "0", "--seed", 3, out="sampled")
    assert abs(pixels(folder / "000000.png") - pixels(sampled / "000000.png")).max() <= 1
    assert (record(folder)["start"], record(folder)["end"]) == ("dark", "2")


def test_what_cannot_be_made(refused, model_folder, photos, tmp_path):
    def message(command, *words):
        said = refused(command, model_folder, *words, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return said

    own = photos["own"]
    assert "keep=4 is out of range; give 0 to 3 scales" in message("vary", own, "--keep", 4)
    assert "--keep" in message("vary", own)
    assert "smaller than a cell" in message("vary", photos["tiny"], "--keep", 1)
    assert "unknown class 'cat'" in message("vary", own, "--keep", 1, "--class", "cat")
    assert "'1' does not enlarge" in message("upscale", own, "--factor", 1)
    assert "'nan' does not enlarge" in message("upscale", own, "--factor", "nan")
    assert "smaller than a cell" in message("upscale", photos["tiny"])
    assert "unknown class 'cat'" in message("interpolate", "dark", "cat")
    assert "there is no image gone.png" in message("interpolate", own, "gone.png")
    assert "one end is an image and the other a label" in message("interpolate", own, "dark")
    assert "--class is one class" in message("interpolate", "dark", "1", "--class", "2")
    assert "'1' is not a whole number from 2" in message("interpolate", "dark", "1", "--steps", 1)
    for command, words in {"vary": [own, "--keep", 1], "upscale": [own], "interpolate": [0, 1]}.items():
        said = refused(command, model_folder, *words, "--out", tmp_path)
        assert "exists and is not overwritten" in said
