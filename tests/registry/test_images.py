import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vartk_registry import VartkError
from vartk_registry.images import DamagedImage, SkipsDamaged, read_rgb, text_of, why_unreadable
from vartk_registry.interfaces import Example

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(params=["path", "file"])
def read(request, tmp_path):
    """Writes an image and reads it, by its path or from an open file."""

    def saved_and_read(image, suffix="png", **options):
        path = tmp_path / f"image.{suffix}"
        image.save(path, **options)
        made = read_rgb(path if request.param == "path" else io.BytesIO(path.read_bytes()))
        assert made.mode == "RGB"
        return made

    return saved_and_read


def test_transparency_lies_on_white(read):
    assert read(Image.new("RGBA", (4, 4), (255, 0, 0, 0))).getpixel((0, 0)) == WHITE
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 0, 0, 255])
    assert read(palette, "gif", transparency=1).getpixel((0, 0)) == WHITE


def test_16_bit_grey_keeps_its_upper_byte(read):
    grey = np.array([[0, 32768]] * 4, dtype=np.uint16).repeat(4, axis=1)  # black and one half
    made = read(Image.fromarray(grey))
    assert [made.getpixel((x, 0)) for x in (0, 7)] == [(0, 0, 0), (128, 128, 128)]


def test_a_turned_camera(read):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    half = Image.new("RGB", (16, 8), RED)
    half.paste(BLUE, (8, 0, 16, 8))
    made = read(half, exif=exif)
    assert made.size == (8, 16)
    assert [made.getpixel((4, y)) for y in (0, 15)] == [RED, BLUE]


def test_print_colours(read):
    assert read(Image.new("CMYK", (4, 4), (0, 0, 0, 255)), "jpg").getpixel((0, 0)) == (0, 0, 0)


def test_why_a_file_is_unreadable():
    with pytest.raises(DamagedImage, match=r"^not an image, or of a format that Pillow cannot read$"):
        read_rgb(io.BytesIO(b"text"))
    whole = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(whole, "PNG")
    with pytest.raises(DamagedImage, match="truncated"):
        read_rgb(io.BytesIO(whole.getvalue()[:100]))
    with pytest.raises(FileNotFoundError):
        read_rgb(Path("none.png"))
    assert why_unreadable(OSError("two\n lines")) == "two lines"
    assert why_unreadable(ValueError()) == "ValueError"


def test_the_text_of_a_row():
    row = {"class": None, "label": 3, "text": "a cat", "tags": ["x"]}
    assert text_of(row, "class", "label") == "3"
    assert text_of(row, "caption", "text") == "a cat"
    assert text_of(row, "split") == ""
    with pytest.raises(ValueError, match=r"tags must be text or a number, not \['x'\]"):
        text_of(row, "tags")


class Numbers(SkipsDamaged):
    """Images as wide as their labels, which are damaged where they are given as 0."""

    def __init__(self, labels):
        super().__init__([])
        self.labels = labels
        self.reads = []

    def __len__(self):
        return len(self.labels)

    def name(self, index):
        return f"number {index}"

    def read(self, index):
        self.reads.append(index)
        label = self.labels[index]
        if label < 0:
            raise VartkError("the disk is gone")
        return Example(Image.new("RGB", (10 // label, 1)), label)


def test_the_next_readable_image_takes_the_place():
    dataset = Numbers([1, 0, 2, 0])
    assert [example.label for example in dataset] == [1, 2, 2, 1]
    assert dataset[-1].label == dataset[3].label == 1
    assert [line.partition(":")[0] for line in dataset.skipped] == ["number 1", "number 3"]
    assert (dataset.reads.count(1), dataset.reads.count(3)) == (1, 1)
    with pytest.raises(IndexError):
        dataset[4]


def test_what_is_more_than_one_damaged_image_ends_the_run():
    with pytest.raises(VartkError, match="the disk is gone"):
        Numbers([0, -1, 1])[0]
    with pytest.raises(VartkError, match="every image of the dataset is damaged, such as number 0: "):
        Numbers([0, 0])[1]
