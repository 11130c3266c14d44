"""vartk inpaint and vartk edit: masks of every sort, pictures of every sort, and the files written."""

import json

import numpy as np
import pytest
from PIL import Image

RIGHT = ("--box", "0.5,0,1,1")


def pixels(path):
    with Image.open(path) as image:
        return np.array(image)


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.fixture
def photo(noise, tmp_path):
    """A picture of the model's size, saved under any name from any image."""

    def save(name="photo.png", image=None, **options):
        (image or Image.fromarray(noise)).save(tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.fixture
def painted(vartk, model_folder, tmp_path):
    """In-paint into a new folder, and return it and what was told."""

    def run(*words, command="inpaint"):
        ran = vartk(command, model_folder, *words, "--out", tmp_path / "out")
        assert ran.code == 0, ran.err
        return tmp_path / "out", ran.err

    return run


def test_proposals_the_sheet_and_the_record(painted, photo, noise, vartk, model_folder, tmp_path):
    folder, told = painted(photo(), *RIGHT, "--count", 3, "--class", "dark,2", "--seed", 4, "cache=full")
    names = [path.name for path in sorted(folder.iterdir())]
    images = [f"{index:06d}.png" for index in range(3)]
    assert names == [*images, "grid.png", "input.png", "mask.png", "samples.json"]
    made = [pixels(folder / name) for name in images]
    for image in made:
        assert (image[:, :8] == noise[:, :8]).all()  # bit for bit
    assert (made[0] != made[2]).any()
    assert (pixels(folder / "input.png") == noise).all()
    assert (pixels(folder / "mask.png")[:, 8:] == 255).all()
    assert not pixels(folder / "mask.png")[:, :8].any()
    record = json.loads((folder / "samples.json").read_text())
    assert record["task"] == "inpaint"
    assert record["model"] == str(model_folder)
    assert record["classes"] == ["dark", "stripes", "dark"]
    assert record["seeds"] == [4, 5, 6]
    assert record["boxes"] == [[0.5, 0, 1, 1]]
    assert record["sampling"]["cache"] == {"name": "full"}
    assert "inpaint 3/3 scale 3/3 (4x4)" in told
    again = ("inpaint", record["model"], record["image"], *RIGHT, "--seed", 6, "--class", "dark")
    assert vartk(*again, "--out", tmp_path / "again").code == 0
    assert (pixels(tmp_path / "again" / "000000.png") == made[2]).all()


def test_without_a_class_a_proposal_has_the_name_of_its_seed(painted, photo):
    folder, _ = painted(photo(), *RIGHT)
    assert json.loads((folder / "samples.json").read_text())["classes"] == [None]


def test_the_codes_of_the_notebook_change_the_kept_pixels(painted, photo, noise):
    folder, _ = painted(photo(), *RIGHT, "--composite", "codes")
    assert (pixels(folder / "000000.png")[:, :8] != noise[:, :8]).any()


def test_boxes_in_pixels_add_up(painted, photo):
    folder, _ = painted(photo(), "--box", "0,0,4,4", "--box", "8,2,16,3")
    mask = pixels(folder / "mask.png")[..., 0]
    expected = np.zeros((16, 16))
    expected[:4, :4] = expected[2:3, 8:] = 255
    assert (mask == expected).all()


def test_a_mask_file_of_another_size_is_resized_and_said_so(painted, photo):
    mask = Image.new("L", (8, 4))
    mask.paste(255, (4, 0, 8, 4))
    folder, told = painted(photo(), "--mask", photo("mask.png", mask))
    assert "mask.png is 8x4 pixels and was resized to the picture's 16x16" in told
    drawn = pixels(folder / "mask.png")[..., 0]
    assert (drawn[:, 10:] == 255).all()
    assert not drawn[:, :6].any()


def test_transparent_parts_are_drawn(painted, photo, noise):
    alpha = np.full((16, 16, 1), 255, dtype=np.uint8)
    alpha[:, :8] = 0
    picture = Image.fromarray(np.concatenate((noise, alpha), axis=-1))
    folder, _ = painted(photo("cut.png", picture))
    assert (pixels(folder / "mask.png")[:, :8] == 255).all()
    assert (pixels(folder / "000000.png")[:, 8:] == noise[:, 8:]).all()


@pytest.mark.parametrize("fit", [("--fit", "pad"), ("--fit", "stretch"), ("--fit", "tile", "--window", "24")])
def test_a_picture_of_another_aspect_comes_back_at_its_own_size(painted, photo, fit):
    wide = np.random.default_rng(1).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    folder, _ = painted(photo("wide.png", Image.fromarray(wide)), "--box", "30,0,60,40", *fit)
    made = pixels(folder / "000000.png")
    assert made.shape == wide.shape
    assert (made[:, :30] == wide[:, :30]).all()
    assert (made[:, 60:] == wide[:, 60:]).all()


@pytest.mark.parametrize("mode", ["CMYK", "P", "L", "I;16", "RGBA", "1"])
def test_pictures_of_every_mode(painted, photo, noise, mode):
    if mode == "I;16":
        picture = Image.fromarray(np.random.default_rng(0).integers(0, 65536, (16, 16), dtype=np.uint16))
    else:
        picture = Image.fromarray(noise).convert(mode)
    folder, _ = painted(photo("photo.tif", picture), *RIGHT)
    made, kept = (pixels(folder / name) for name in ("000000.png", "input.png"))
    assert made.shape == (16, 16, 3)
    assert (made[:, :8] == kept[:, :8]).all()
    assert kept.std() > 10


def test_a_full_mask_is_said_to_keep_nothing(painted, photo):
    folder, told = painted(photo(), "--box", "0,0,1,1", "--class", "1")
    assert "The mask covers the whole picture" in told
    assert (folder / "000000.png").exists()


def test_editing_needs_a_class_and_draws_under_it(painted, photo, noise, refused, model_folder, tmp_path):
    message = refused("edit", model_folder, photo(), *RIGHT, "--out", tmp_path / "out")
    assert "give --class NAME" in message
    folder, _ = painted(photo(), *RIGHT, "--class", "stripes", command="edit")
    record = json.loads((folder / "samples.json").read_text())
    assert (record["task"], record["classes"]) == ("edit", ["stripes"])


def test_what_cannot_be_painted(refused, photo, model_folder, tokenizer_folder, tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    moving = photo("moving.gif", frames[0], save_all=True, append_images=frames[1:])
    black = photo("black.png", Image.new("L", (16, 16)))
    tiny = photo("tiny.png", Image.new("RGB", (3, 3)))
    short = photo("short.png", Image.new("RGB", (40, 12)))

    def message(*words, model=model_folder):
        said = refused("inpaint", model, *words, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return said

    assert "nothing says what is drawn anew; give --mask FILE" in message(photo())
    assert "the mask is black everywhere" in message(photo(), "--mask", black)
    assert "is animated: it has 2 frames" in message(moving, *RIGHT)
    assert "3x3 pixels are smaller than a cell" in message(tiny, *RIGHT)
    assert "no window of 16x16 pixels" in message(short, *RIGHT, "--fit", "tile")
    assert "unknown class 'cats'" in message(photo(), *RIGHT, "--class", "cats")
    assert "is no part of a picture of 16x16" in message(photo(), "--box", "8,0,40,16")
    assert "is no part of a picture of 16x16" in message(photo(), "--box", "0.5,0,0.5,1")
    assert "mixes pixels and fractions" in message(photo(), "--box", "0.5,0,8,16")
    assert "'1,2,3' is no box" in message(photo(), "--box", "1,2,3")
    assert "'a,b,c,d' is no box" in message(photo(), "--box", "a,b,c,d")
    assert "there is no image gone.png" in message("gone.png", *RIGHT)
    assert "there is no image gone.png" in message(photo(), "--mask", "gone.png")
    assert "tokenizer alone" in message(photo(), *RIGHT, model=tokenizer_folder)
    assert "did you mean 'top_k'" in message(photo(), *RIGHT, "sampler.topk=3")
    said = refused("inpaint", model_folder, photo(), *RIGHT, "--out", tmp_path)
    assert "exists and is not overwritten" in said
