"""Pictures: rounding, tiles, labels, and files of every sort."""

import numpy as np
import pytest
import torch
from PIL import Image

from vartk.images import enlarged, labelled_grid, open_image, save_image, tile, to_uint8
from vartk_registry import VartkError


def solid(*colours, size=(2, 3)):
    """Images [N, 3, H, W] of one colour each."""
    return torch.tensor(colours, dtype=torch.float32)[:, :, None, None].expand(-1, -1, *size)


def save(path, image, **options):
    image.save(path, **options)
    return path


def test_eight_bits_by_rounding():
    values = torch.tensor([-0.1, 0.0, 0.4 / 255, 0.6 / 255, 127.5 / 255, 254.6 / 255, 1.0, 1.2])
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 128, 255, 255, 255]


def test_every_eight_bit_value_goes_round(tmp_path):
    pixels = torch.arange(256, dtype=torch.float32).view(1, 16, 16).expand(3, -1, -1) / 255
    save_image(pixels, tmp_path / "all.png")
    read = np.asarray(open_image(tmp_path / "all.png"))
    assert (read.transpose(2, 0, 1) == to_uint8(pixels).numpy()).all()
    assert [path.name for path in tmp_path.iterdir()] == ["all.png"]


def test_tiles_lie_in_rows_on_white():
    made = tile(solid((0, 0, 0), (1, 0, 0), (0, 1, 0)), columns=2, gap=1)
    assert made.shape == (3, 2 * 2 + 1, 2 * 3 + 1)
    assert made[:, 0, 0].tolist() == [0, 0, 0]
    assert made[:, 0, 3].tolist() == [1, 1, 1]  # the gap
    assert made[:, 0, 4].tolist() == [1, 0, 0]
    assert made[:, 3, 0].tolist() == [0, 1, 0]
    assert made[:, 3, 4].tolist() == [1, 1, 1]  # the place that is left


def test_small_images_are_enlarged_pixel_by_pixel():
    image = torch.arange(12.0).view(1, 3, 2, 2)
    made = enlarged(image, side=5)
    assert made.shape == (1, 3, 4, 4)
    assert made[0, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert torch.equal(enlarged(image, side=1), image)


def test_a_labelled_grid_shows_images_and_labels():
    images = solid((1, 0, 0), (0, 0, 1), size=(32, 32))
    grid = np.asarray(labelled_grid(images, ["red", "blue"], columns=2)).astype(int)
    assert (grid[4:36, 4:36] == (255, 0, 0)).all()
    assert (grid[4:36, 40:72] == (0, 0, 255)).all()
    under = grid[36:]
    assert (under[:, :38] < 100).any()
    assert (under[:, 38:] < 100).any()


def test_a_long_label_is_cut_to_its_image():
    images = solid((1, 1, 1), (1, 1, 1), size=(32, 32))
    grid = np.asarray(labelled_grid(images, ["an endless label " * 9, ""], columns=2)).astype(int)
    dark = np.flatnonzero((grid < 128).any(axis=(0, 2)))
    assert len(dark)
    assert dark.min() >= 4
    assert dark.max() < 4 + 32 + 4  # nothing under the second image


def test_transparency_lies_on_white(tmp_path):
    path = save(tmp_path / "alpha.png", Image.new("RGBA", (2, 2), (255, 0, 0, 0)))
    assert open_image(path).getpixel((0, 0)) == (255, 255, 255)
    half = save(tmp_path / "half.png", Image.new("RGBA", (2, 2), (0, 0, 0, 128)))
    assert open_image(half).getpixel((0, 0)) == (127, 127, 127)


def test_a_palette_with_a_transparent_entry(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    read = open_image(save(tmp_path / "palette.png", image, transparency=1))
    assert [read.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path):
    values = np.array([[0, 128, 32768, 65535]], dtype=np.uint16)
    read = open_image(save(tmp_path / "grey.png", Image.fromarray(values)))
    assert [read.getpixel((x, 0))[0] for x in range(4)] == [0, 0, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    suffix = "jpg" if mode in ("CMYK", "YCbCr") else "png"
    read = open_image(save(tmp_path / f"image.{suffix}", Image.new(mode, (4, 4))))
    assert (read.mode, read.size) == ("RGB", (4, 4))


def test_a_photo_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    read = open_image(save(tmp_path / "photo.jpg", Image.new("RGB", (8, 4)), exif=exif))
    assert read.size == (4, 8)


def test_a_missing_image(tmp_path):
    with pytest.raises(VartkError, match=r"there is no image .*gone\.png"):
        open_image(tmp_path / "gone.png")


@pytest.mark.parametrize("content", [b"", b"text, not an image"])
def test_a_file_that_is_no_image(tmp_path, content):
    path = tmp_path / "wrong.png"
    path.write_bytes(content)
    with pytest.raises(VartkError, match=r"wrong\.png is not an image that can be read"):
        open_image(path)


def test_a_truncated_image(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / "cut.jpg", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(VartkError, match=r"cut\.jpg is not an image that can be read"):
        open_image(path)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(VartkError, match="is not an image that can be read"):
        open_image(tmp_path)
