"""Images that are written while the next ones are made."""

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from vartk import VartkError
from vartk.tasks.writer import AHEAD, ImageWriter


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_all_images_are_there_when_it_ends(tmp_path, device):
    pixels = torch.randint(256, (4 * (AHEAD + 2), 3, 5, 7), generator=torch.Generator().manual_seed(0))
    paths = [tmp_path / "new" / f"{index}.png" for index in range(len(pixels))]
    with ImageWriter() as writer:
        for start in range(0, len(pixels), 4):
            rows = slice(start, start + 4)
            writer.write((pixels[rows] / 255).to(device), paths[rows])
    for path, expected in zip(paths, pixels, strict=True):
        with Image.open(path) as image:
            assert np.array_equal(np.array(image), expected.permute(1, 2, 0).numpy())


def test_a_full_disk_is_reported(tmp_path):
    images = torch.rand(2, 3, 64, 64)
    with (
        tiny.full_disk(400),
        pytest.raises(VartkError, match="could not be written"),
        ImageWriter() as writer,
    ):
        writer.write(images, [tmp_path / "0.png", tmp_path / "1.png"])
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_caller_is_not_hidden(tmp_path):
    def fail():
        with ImageWriter() as writer:
            writer.write(torch.rand(1, 3, 4, 4), [tmp_path / "0.png"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
