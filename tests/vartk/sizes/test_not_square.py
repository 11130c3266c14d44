"""A model of images that are no squares, through all stages, commands and tasks."""

import copy
import json

import pytest
import torch
import yaml
from PIL import Image
from tiny import CONFIG, images_folder

import vartk as toolkit
from vartk_registry import VartkError

H, W = 16, 24


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run of both stages on images of another ratio still, and of its data."""
    from vartk.cli.main import main

    folder = tmp_path_factory.mktemp("not-square")
    keys = copy.deepcopy(CONFIG)
    keys |= {"image_size": [H, W], "schedule": {"name": "custom", "grids": [1, 2, [4, 6]]}}
    keys["dataset"] = {"name": "folder", "path": str(images_folder(folder / "images", size=(20, 40)))}
    (folder / "config.yaml").write_text(yaml.safe_dump(keys))
    words = ["train", "both", folder / "config.yaml", "--out", folder / "run", "--device", "cpu"]
    assert main([str(word) for word in words]) == 0
    return folder


@pytest.fixture(scope="module")
def model(trained):
    return toolkit.load(trained / "run" / "transformer")


def test_both_stages_train_and_validate(trained):
    for stage, number in (("tokenizer", "val_psnr_db"), ("transformer", "val_loss")):
        lines = (trained / "run" / stage / "metrics.jsonl").read_text().splitlines()
        assert any(number in json.loads(line) for line in lines)
    info = json.loads((trained / "run" / "tokens" / "tokens.json").read_text())
    assert info["schedule"][-1] == [4, 6]


def test_it_samples_reconstructs_and_is_evaluated(trained, vartk, tmp_path):
    run = trained / "run" / "transformer"
    assert vartk("sample", run, "--count", 2, "--out", tmp_path / "samples").code == 0
    with Image.open(tmp_path / "samples" / "000000.png") as image:
        assert image.size == (W, H)
    record = json.loads((tmp_path / "samples" / "samples.json").read_text())
    assert (record["size"], record["made_for"]) == ([H, W], [[H, W]])
    picture = next((trained / "images" / "validation").rglob("*.png"))
    assert vartk("reconstruct", run, picture, "--out", tmp_path / "again").code == 0
    ran = vartk("eval", run, "--tokenizer-only", "--count", 4, "--json")
    assert ran.code == 0, ran.err
    assert "psnr" in ran.out


def test_the_tasks_keep_what_they_are_given(model):
    images = torch.rand(1, 3, H, W, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(H, W)
    mask[:, : W // 2] = 1
    made = model.inpaint(images, mask, [0]).images
    assert torch.equal(made[..., W // 2 :], ((images + 1) / 2)[..., W // 2 :])
    assert model.outpaint(images, [0], canvas=(2, 1.5)).images.shape == (1, 3, H * 3 // 2, 2 * W)
    assert model.vary(images, [0], keep=2).images.shape == images.shape
    assert model.upscale(images, [0], factor=2).images.shape == (1, 3, 2 * H, 2 * W)
    assert model.interpolate(images[0], images[0], 0, steps=2).images.shape == (2, 3, H, W)
    large = torch.rand(1, 3, 50, 40) * 2 - 1
    assert model.inpaint(large, torch.ones(50, 40), [0], fit="tile").images.shape == large.shape


def test_an_image_of_exchanged_sides_is_refused(model):
    with pytest.raises(VartkError, match="images are 24x16 pixels, the model takes 16x24"):
        model.encode(torch.zeros(1, 3, W, H))
