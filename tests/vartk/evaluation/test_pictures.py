"""Finished images, as people hand them over: npz files, folders of them, folders of image files."""

import json

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from vartk.evaluation.pictures import class_remarks, open_pictures
from vartk_registry import VartkError

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)


def read(path, size=3):
    pictures = open_pictures(path)
    return pictures, list(pictures.batches(size))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_is_read_in_batches(tmp_path, save):
    save(tmp_path / "a.npz", PIXELS, np.arange(7) % 2)
    pictures, batches = read(tmp_path / "a.npz")
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert torch.equal(torch.cat(batches), torch.from_numpy(PIXELS).permute(0, 3, 1, 2))
    assert (len(pictures), pictures.labels, pictures.remarks) == (7, [0, 1, 0, 1, 0, 1, 0], [])


def test_a_folder_of_npz_files_is_one_set(tmp_path):
    np.savez(tmp_path / "b.npz", PIXELS[4:])
    np.savez(tmp_path / "a.npz", PIXELS[:4], np.zeros(4, int))
    pictures, batches = read(tmp_path)
    assert torch.equal(torch.cat(batches), torch.from_numpy(PIXELS).permute(0, 3, 1, 2))
    assert pictures.labels == []  # one of the files does not say
    np.savez(tmp_path / "c.npz", PIXELS[:, :4])
    assert read(tmp_path)[0].remarks == ["The files hold images of 2 sizes."]


def test_npz_files_that_are_something_else(tmp_path):
    def message(**content):
        np.savez(tmp_path / "a.npz", **content)
        with pytest.raises(VartkError) as error:
            read(tmp_path / "a.npz")
        return str(error.value)

    assert "a.npz has no images: an npz file in the ADM layout has arr_0, this one has mu" in message(
        mu=PIXELS
    )
    floats = message(arr_0=PIXELS / 255)
    assert "arr_0 of" in floats
    assert "is float64 [7, 6, 5, 3]; the ADM layout is uint8 [N, H, W, 3]" in floats
    assert "uint8 [7, 3, 6, 5]" in message(arr_0=PIXELS.transpose(0, 3, 1, 2).copy())
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:300])
    with pytest.raises(VartkError, match=r"b\.npz is damaged or is no npz file"):
        read(tmp_path / "b.npz")
    with pytest.raises(VartkError, match=r"there is no folder and no \.npz file"):
        read(tmp_path / "nothing")


def save_images(folder, count, size=(5, 6), suffix="png"):
    folder.mkdir(parents=True)
    for index in range(count):
        Image.fromarray(np.full((*reversed(size), 3), index, np.uint8)).save(folder / f"{index}.{suffix}")


def test_a_folder_of_images(tmp_path):
    save_images(tmp_path / "flat", 4)
    pictures, batches = read(tmp_path / "flat")
    assert [tuple(batch.shape) for batch in batches] == [(3, 3, 6, 5), (1, 3, 6, 5)]
    assert [int(image[0, 0, 0]) for image in torch.cat(batches)] == [0, 1, 2, 3]
    assert (pictures.labels, pictures.remarks) == ([], [])
    (tmp_path / "flat" / "notes.txt").touch()
    assert len(open_pictures(tmp_path / "flat")) == 4
    (tmp_path / "flat" / "4.png").write_bytes(b"no image")
    with pytest.raises(VartkError, match=r"4\.png is not an image that can be read"):
        read(tmp_path / "flat")


def test_folders_name_their_classes(tmp_path):
    save_images(tmp_path / "cat", 3)
    save_images(tmp_path / "dog", 1)
    assert open_pictures(tmp_path).labels == ["cat", "cat", "cat", "dog"]
    assert class_remarks(["cat", "cat", "cat", "dog"]) == [
        "The 2 classes have 1 to 3 images each; published numbers have as many images of each class."
    ]
    assert class_remarks(["cat", "dog"]) == class_remarks([]) == class_remarks(["cat"] * 3) == []


def test_jpeg_files_and_several_sizes_are_remarked_on(tmp_path):
    save_images(tmp_path / "a", 2, suffix="jpg")
    save_images(tmp_path / "b", 3, size=(8, 8))
    pictures, batches = read(tmp_path)
    assert [tuple(batch.shape) for batch in batches] == [(2, 3, 6, 5), (3, 3, 8, 8)]
    jpeg, sizes = pictures.remarks
    assert jpeg.startswith("2 images of 5 are JPEG files")
    assert "2 sizes (3 of 8x8, 2 of 5x6)" in sizes


def test_what_vartk_sample_writes(vartk, model_folder, tmp_path):
    """Both of its formats hold the same images; the grid is none of them."""
    for form in ("png", "npz"):
        words = ("sample", model_folder, "--count", 4, "--format", form, "--out", tmp_path / form)
        assert vartk(*words).code == 0
    files, png = read(tmp_path / "png")
    archive, npz = read(tmp_path / "npz")
    assert torch.equal(torch.cat(png), torch.cat(npz))
    assert (
        files.labels
        == archive.labels
        == json.loads((tmp_path / "png" / "samples.json").read_text())["labels"]
    )
    assert files.labels == [0, 1, 2, 0]
    assert len(tiny.CLASSES) == 3


def test_a_folder_without_images(tmp_path):
    with pytest.raises(VartkError, match=r"has no images: no \.npz file and no file of \.png, \.jpg"):
        open_pictures(tmp_path)
