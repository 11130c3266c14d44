"""vartk eval --reference: samples and finished images against sets of real ones."""

import json

import numpy as np
import pytest
import tiny
from PIL import Image


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return tiny.images_folder(tmp_path_factory.mktemp("photos"), train=14, validation=9)


@pytest.fixture
def evaluate(vartk, eyes):
    """Evaluate images and return what --json prints, and the messages."""

    def run(images, *words):
        ran = vartk("eval", images, f"feature={eyes}", *words, "--json")
        assert ran.code == 0, ran.err
        return json.loads(ran.out.splitlines()[-1]), ran.err

    return run


def test_a_model_against_a_folder(evaluate, model_folder, photos, tmp_path):
    words = ("--reference", photos / "validation", "--count", 9, "guidance.scale=2")
    made, told = evaluate(model_folder, *words, "--out", tmp_path / "out")
    assert (made["n"], made["m"], made["size"], made["reference_size"]) == (9, 9, [16, 16], [16, 16])
    assert made["sampling"]["guidance"]["scale"] == 2
    assert made["remarks"] == []
    assert made["numbers"].keys() == {"fd", "kid"}
    assert "sample 9/9" in told
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| FD-Eyes |" in text
    assert "| guidance.scale | 2.0 |" in text
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == made
    # the same samples, written by another command
    samples, *_ = (tmp_path / "samples",)
    again, _ = evaluate(model_folder, *words, "--samples", samples)
    assert again["numbers"] == made["numbers"]
    assert evaluate(samples, "--reference", photos / "validation")[0]["numbers"] == pytest.approx(
        made["numbers"]
    )


def test_classes_are_sampled_equally_often(evaluate, model_folder, photos, tmp_path):
    evaluate(model_folder, "--reference", photos, "--count", 6, "--samples", tmp_path / "s")
    with np.load(tmp_path / "s" / "000000000.npz") as shard:
        assert shard["arr_1"].tolist() == [0, 0, 1, 1, 2, 2]
    _, told = evaluate(model_folder, "--reference", photos, "--count", 7)
    assert "The 3 classes have 2 to 3 images each" in told


def test_splits_of_the_dataset(evaluate, model_folder, photos):
    data = ("dataset=folder", f"dataset.path={photos}", "--count", 4)
    numbers = {
        name: evaluate(model_folder, *data, "--reference", name)[0]
        for name in ("train", "validation", photos / "train")
    }
    assert [made["m"] for made in numbers.values()] == [14, 9, 14]
    # the dataset and its folder hold the same images
    assert numbers["train"]["numbers"] == pytest.approx(numbers[photos / "train"]["numbers"], rel=1e-5)


def test_saved_statistics_are_read_again(evaluate, vartk, refused, model_folder, photos, eyes, tmp_path):
    saved = tmp_path / "photos.npz"
    made, _ = evaluate(photos / "train", "--reference", photos / "validation", "--save-reference", saved)
    again, _ = evaluate(photos / "train", "--reference", saved)
    assert again["numbers"] == pytest.approx(made["numbers"], rel=1e-6)
    assert again["stored_moments"] == ["features"]
    message = refused("eval", photos, f"feature={eyes}", "--reference", photos, "--save-reference", saved)
    assert "photos.npz exists and is not overwritten" in message


def test_what_is_unusual_is_told(evaluate, photos, tmp_path):
    """JPEG files, several sizes, another size than the reference's, and too few of them."""
    (tmp_path / "made").mkdir()
    for index in range(4):
        Image.new("RGB", (20, 20 + 4 * (index == 3)), (index, 0, 0)).save(tmp_path / "made" / f"{index}.jpg")
    made, told = evaluate(tmp_path / "made", "--reference", photos)
    assert [line.split(" ", 3)[:3] for line in made["remarks"]] == [
        ["4", "images", "of"],
        ["The", "images", "have"],
        ["The", "images", "are"],
        ["4", "images", "are"],
    ]
    assert "4 images of 4 are JPEG files" in told
    assert "The images are 20x20 and those of the reference 16x16 pixels" in told
    assert "4 images are too few for the 6 numbers of a feature" in told


def test_one_image_and_constant_images(evaluate, refused, photos, eyes, tmp_path):
    np.savez(tmp_path / "one.npz", np.zeros((1, 16, 16, 3), np.uint8))
    message = refused("eval", tmp_path / "one.npz", f"feature={eyes}", "--reference", photos)
    assert "fd needs at least 2 images a set, not 1 image" in message
    np.savez(tmp_path / "grey.npz", np.full((9, 16, 16, 3), 99, np.uint8))
    made, _ = evaluate(tmp_path / "grey.npz", "--reference", tmp_path / "grey.npz")
    assert made["numbers"]["fd"] == pytest.approx(0, abs=1e-9)


def test_what_cannot_be_compared(refused, model_folder, tokenizer_folder, photos, eyes, tmp_path):
    def message(*words):
        return refused("eval", *words, f"feature={eyes}")

    assert f"{photos} holds images; name what to compare them with: --reference" in message(photos)
    assert "--save-reference needs --reference" in message(model_folder, "--save-reference", tmp_path / "s")
    assert "holds finished images and samples nothing; drop guidance.scale" in message(
        photos, "--reference", photos, "guidance.scale=2"
    )
    assert "batch=0 must be a whole number" in message(photos, "--reference", photos, "batch=0")
    assert "is a tokenizer alone and samples nothing" in message(tokenizer_folder, "--reference", photos)
    assert "--reference train is a split of the dataset" in message(model_folder, "--reference", "train")
    assert "there is no folder and no .npz file nowhere" in message(photos, "--reference", "nowhere")
    (tmp_path / "empty").mkdir()
    assert "empty has no images" in message(photos, "--reference", tmp_path / "empty")
    assert "metric 'psnr' compares images in pairs" in message(
        photos, "--reference", photos, "metrics=[psnr]"
    )


def test_metrics_that_statistics_do_not_allow(evaluate, refused, install, photos, eyes, tmp_path):
    np.savez(tmp_path / "statistics.npz", mu=np.zeros(6), sigma=np.eye(6))
    message = refused("eval", photos, f"feature={eyes}", "--reference", tmp_path / "statistics.npz")
    assert "statistics of a feature that it does not name, which Eyes cannot use" in message
