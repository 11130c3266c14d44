"""vartk reconstruct and vartk convert."""

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path):
    """Two images of other sizes than the model's."""
    noise = np.random.default_rng(0)
    paths = [tmp_path / "one.png", tmp_path / "two.jpg"]
    for path, shape in zip(paths, [(40, 20, 3), (16, 30, 3)], strict=True):
        Image.fromarray(noise.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return paths


def test_reconstructions_and_their_scales(vartk, tokenizer_folder, photos, tmp_path):
    out = tmp_path / "out"
    ran = vartk("reconstruct", tokenizer_folder, *photos, "--out", out)
    assert ran.code == 0
    head, *lines = (line.split() for line in ran.out.splitlines())
    assert head == ["image", "PSNR", "(dB)", "written"]
    assert [line[0] for line in lines] == [str(path) for path in photos]
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.png")) == [
        "one.png",
        "scales/one.png",
        "scales/two.png",
        "two.png",
    ]
    with Image.open(out / "one.png") as image:
        assert image.size == (16, 16)


def test_reconstructions_as_json(vartk, model_folder, photos, tmp_path):
    ran = vartk("reconstruct", model_folder, *photos, "--out", tmp_path / "out", "--json")
    result = json.loads(ran.out)
    assert [row["image"] for row in result["images"]] == [str(path) for path in photos]
    assert all(0 < row["psnr_db"] < 60 for row in result["images"])


def test_images_that_cannot_be_read(refused, tokenizer_folder, photos, tmp_path):
    def message(*images):
        return refused("reconstruct", tokenizer_folder, *images, "--out", tmp_path / "out")

    (tmp_path / "text.png").write_text("text")
    assert "there is no image gone.png" in message(photos[0], "gone.png")
    assert "text.png is not an image that can be read" in message(photos[0], tmp_path / "text.png")
    assert "is not an image that can be read" in message(tmp_path)
    assert "several images are called one" in message(photos[0], photos[0])
    assert not (tmp_path / "out").exists()


def test_arguments_that_cannot_be_used(refused, tokenizer_folder, photos, tmp_path):
    assert "exists and is not overwritten" in refused(
        "reconstruct", tokenizer_folder, *photos, "--out", tmp_path
    )
    out = ("--out", tmp_path / "out")
    assert "no model 'nowhere'" in refused("reconstruct", "nowhere", *photos, *out)
    assert "device 'gpu' cannot be used" in refused(
        "reconstruct", tokenizer_folder, *photos, *out, "--device", "gpu"
    )
    assert "required: IMAGE" in refused("reconstruct", tokenizer_folder, *out)


def test_convert_says_what_is_wrong(refused, tmp_path):
    (tmp_path / "text.pth").write_text("text")
    out = ("--out", tmp_path / "out")
    assert "there is no file gone.pth" in refused("convert", "--tokenizer", "gone.pth", *out)
    assert "text.pth" in refused("convert", "--tokenizer", tmp_path / "text.pth", *out)
    assert "unknown importer 'vra'; did you mean 'var'?" in refused(
        "convert", "--from", "vra", "--tokenizer", tmp_path / "text.pth", *out
    )
    assert "unknown parameter 'haeds'; did you mean 'heads'?" in refused(
        "convert", "--tokenizer", tmp_path / "text.pth", "haeds=2", *out
    )
    assert "exists and is not overwritten" in refused(
        "convert", "--tokenizer", tmp_path / "text.pth", "--out", tmp_path
    )
    assert not (tmp_path / "out").exists()


def test_help_of_convert(vartk):
    ran = vartk("convert", "--help")
    assert ran.code == 0
    assert "--transformer FILE" in ran.out
