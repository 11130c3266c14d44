"""vartk sample."""

import json

import numpy as np
import pytest
from PIL import Image

IMAGES = ("000000.png", "000001.png", "000002.png")


def record(folder):
    return json.loads((folder / "samples.json").read_text())


def pixels(path):
    with Image.open(path) as image:
        return np.array(image)


@pytest.fixture
def sample(vartk, model_folder, tmp_path):
    """Sample into a new folder, and return it."""

    def run(*words, out="out"):
        ran = vartk("sample", model_folder, *words, "--out", tmp_path / out)
        assert ran.code == 0, ran.err
        return tmp_path / out

    return run


def test_an_image_of_every_class_by_default(sample):
    folder = sample()
    assert sorted(path.name for path in folder.iterdir()) == [*IMAGES, "grid.png", "samples.json"]
    assert record(folder)["classes"] == ["dark", "light", "stripes"]
    assert pixels(folder / IMAGES[0]).shape == (16, 16, 3)


def test_classes_by_index_and_by_name_in_turn(sample):
    made = record(sample("--class", "2,dark", "--class", "1", "--count", 5, "--seed", 3))
    assert made["labels"] == [2, 0, 1, 2, 0]
    assert made["seeds"] == [3, 4, 5, 6, 7]
    assert made["count"] == 5


def test_the_result_as_json_is_the_record(vartk, model_folder, tmp_path):
    ran = vartk("sample", model_folder, "--count", 2, "--json", "--out", tmp_path / "out")
    assert json.loads(ran.out) == record(tmp_path / "out")
    assert "sample 2/2 scale 3/3 (4x4)" in ran.err


def test_the_result_in_words(vartk, model_folder, tmp_path):
    out = tmp_path / "out"
    ran = vartk("sample", model_folder, "--class", "0", "--out", out)
    assert ran.out == f"1 image: {out}\ngrid: {out / 'grid.png'}\n"
    assert ran.err.startswith(f"loading {model_folder}\n")


def distance(a, b):
    """Return the largest difference of two pictures: 1 where a sum in another order rounds the other way."""
    return np.abs(pixels(a).astype(int) - pixels(b)).max()


def test_a_seed_makes_the_same_image_alone(sample):
    all_three = sample("--class", "1", "--count", 3, "--seed", 10, out="three")
    alone = sample("--class", "1", "--seed", 12, out="alone")
    assert distance(alone / IMAGES[0], all_three / IMAGES[2]) <= 1
    assert (pixels(alone / IMAGES[0]) != pixels(all_three / IMAGES[0])).any()


def test_the_batch_changes_nothing(sample):
    one = sample("--count", 3, "batch=1", out="one")
    many = sample("--count", 3, "batch=3", out="many")
    for name in IMAGES:
        assert distance(one / name, many / name) <= 1


def test_settings_by_the_names_of_the_python_interface(sample):
    made = record(sample("guidance=3", "top_k=5", "sampler.temperature=0.5", "cache=full", "random=shared"))
    sampling = made["sampling"]
    assert sampling["guidance"] == {"name": "linear", "scale": 3.0, "stop": 1.0, "layer": 0}
    assert (sampling["sampler"]["top_k"], sampling["sampler"]["temperature"]) == (5, 0.5)
    assert sampling["random"] == "shared"


def test_another_component_by_name(sample):
    made = record(sample("sampler=greedy", "guidance=constant", "guidance.scale=2", "schedule=[1,3,4]"))
    assert made["sampling"]["sampler"] == {"name": "greedy"}
    assert made["sampling"]["guidance"] == {"name": "constant", "scale": 2.0, "stop": 1.0, "layer": 0}
    assert made["sampling"]["schedule"] == {"name": "custom", "grids": [1, 3, 4], "reference": None}


def test_the_layout_of_the_adm_suite(sample):
    folder = sample("--format", "npz", "--count", 4)
    with np.load(folder / "samples.npz") as file:
        images, labels = file["arr_0"], file["arr_1"]
    assert (images.shape, images.dtype, labels.tolist()) == ((4, 16, 16, 3), np.uint8, [0, 1, 2, 0])
    assert sorted(path.name for path in folder.iterdir()) == ["grid.png", "samples.json", "samples.npz"]


def test_the_grid_is_wide_enough_for_all(sample):
    height, width, _ = pixels(sample("--count", 9) / "grid.png").shape
    assert width == 3 * (96 + 4) + 4
    assert height > 3 * 96


def test_class_names_with_commas(vartk, tmp_path):
    import tiny

    from vartk.engine.folder import save_model

    save_model(tiny.tiny_model(classes=["tench, Tinca tinca", "goldfish", "b"]), tmp_path / "model")
    words = ("--class", "tench, Tinca tinca", "--class", "goldfish, b")
    assert vartk("sample", tmp_path / "model", *words, "--out", tmp_path / "out").code == 0
    assert record(tmp_path / "out")["labels"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--count", "0"], "argument --count: '0' is not a whole number from 1 to"),
        (["--count", "some"], "argument --count: 'some' is not a whole number from 1 to"),
        (["--seed", "-1"], "argument --seed: '-1' is not a whole number from 0 to 4294967295"),
        (["--seed", "4294967296"], "argument --seed: '4294967296' is not a whole number from 0 to"),
        (["--seed", "luck"], "argument --seed: 'luck' is not a whole number from 0 to"),
        (["--format", "jpg"], "argument --format: invalid choice: 'jpg' (choose from"),
        (["--device", "gpu"], "device 'gpu' cannot be used here: "),
        (
            ["--device", "meta"],
            "device 'meta' cannot be used here: there is no such device; give auto, cpu, cuda or cuda:N",
        ),
        (["--class", "3"], "class 3 is out of range; give an index from 0 to 2"),
        (["--class", "drak"], "unknown class 'drak'; did you mean 'dark'? Valid: dark, light, stripes"),
        (["--class", ","], "--class ',' names no class; give indices or names, as in --class 0,1"),
        (["--class", ""], "--class '' names no class"),
        (["guidance=liner"], "guidance: unknown guidance 'liner'; did you mean 'linear'?"),
        (
            ["guidance.scal=3"],
            "guidance.scal of guidance 'linear': unknown parameter 'scal'; did you mean 'scale'?",
        ),
        (["top_k=many"], "sampler.top_k of sampler 'categorical': top_k='many' must be a whole number"),
        (["top_p=2"], "top_p=2.0 is out of range; it must be at least 0 and at most 1"),
        (["btach=2"], "unknown key 'btach'; did you mean batch?"),
        (["batch=0"], "batch=0 is out of range; it must be at least 1"),
        (
            ["attention=flsh"],
            "attention: unknown attention 'flsh'; did you mean 'flash'? Valid: eager, flash, flex, matmul, "
            "sdpa, xformers or auto",
        ),
        (["schedule=[1,2]"], "schedule 'custom' ends at 2x2, but the tokenizer's latent grid"),
        (["class=2"], "unknown key 'class'"),
        (["2,3"], "'2,3' is not a setting; write key=value"),
    ],
)
def test_wrong_settings(refused, model_folder, tmp_path, words, message):
    assert message in refused("sample", model_folder, *words, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_never_overwritten(refused, model_folder, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    message = refused("sample", model_folder, "--out", tmp_path)
    assert f"{tmp_path} exists and is not overwritten; give another --out, or remove it" in message
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine.txt"]


def test_a_place_that_cannot_be_written(refused, model_folder, tmp_path):
    (tmp_path / "file").write_text("")
    assert "could not be written: Not a directory" in refused(
        "sample", model_folder, "--out", tmp_path / "file" / "out"
    )


def test_a_model_that_is_not_there(refused, tmp_path):
    message = refused("sample", "nowhere", "--out", tmp_path / "out")
    assert "no model 'nowhere': neither a folder nor a published name" in message
    (tmp_path / "empty").mkdir()
    assert "is not a model folder" in refused("sample", tmp_path / "empty", "--out", tmp_path / "out")


def test_a_tokenizer_alone_cannot_sample(refused, tokenizer_folder, tmp_path):
    for words in ([], ["--class", "0"]):
        message = refused("sample", tokenizer_folder, *words, "--out", tmp_path / "out")
        assert "this model is a tokenizer alone" in message
