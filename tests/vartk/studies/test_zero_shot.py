"""The zero-shot tasks of a tiny model, from its folder to the study's page; numbers by hand."""

import dataclasses
import shutil

import pytest
import torch
import yaml
from studying import carried
from tiny import CONFIG, images_folder, tiny_model

from vartk.engine.folder import save_model
from vartk.studies import read_study, tables, write_study
from vartk.studies.zero_shot.editing import groups_of
from vartk.studies.zero_shot.pictures import psnr, seam
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_psnr_of_a_part():
    true = torch.zeros(1, 3, 4, 4)
    made = true.clone()
    made[..., :2] = 0.1
    left = torch.zeros(4, 4)
    left[:, :2] = 1
    assert psnr(made, true, left) == pytest.approx(20)
    assert psnr(made, true) == pytest.approx(23.0103)
    assert psnr(made, true, 1 - left) is None


def test_the_seam_is_the_step_across_the_masks_edge():
    mask = torch.zeros(4, 4)
    mask[1:3, 1:3] = 1
    images = torch.rand(2, 3, 4, 4) * 0.01
    assert seam((mask * 0.2).expand(2, 3, 4, 4), mask) == pytest.approx(51)
    assert seam(images, mask) < 2.55


def test_a_group_is_what_stands_before_a_hyphen():
    assert groups_of(["food-noto", "food-3d", "flags-noto", "flags-3d"]) == [0, 0, 1, 1]
    assert groups_of(["cat", "dog"]) == [0, 1]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Write a study of a finished model."""
    folder = tmp_path_factory.mktemp("study")
    save_model(tiny_model(), folder / "model")
    dataset = {"name": "folder", "path": str(images_folder(folder / "images"))}
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**CONFIG, "dataset": dataset}))
    values = {
        "title": "Tiny tasks",
        "config": str(folder / "tiny.yaml"),
        "systems": [{"name": "a model", "model": str(folder / "model"), "settings": ["sampling.batch=3"]}],
        "measures": ["zero-shot"],
        "samples": 5,
        "fitted": 6,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(values))
    return read_study(str(folder / "study.yaml"))


def test_a_finished_model_has_all_tasks_on_one_page(study, eyes, tmp_path):
    study = dataclasses.replace(study, settings=[f"feature={eyes}"])
    result = {"command": "vartk study tasks.yaml --out out", **carried(study, tmp_path / "out")}
    write_study(result, tmp_path / "out")
    tasks = result["systems"]["a model"]["zero-shot"]["tasks"]
    rows = {task: {row["way"]: row for row in made["rows"]} for task, made in tasks.items()}
    for task in ("inpaint", "outpaint"):
        assert rows[task]["true pictures"] | {"seam": 0} == {
            "way": "true pictures", "psnr_outside": None, "psnr_inside": None, "seam": 0, "fd": 0
        }  # fmt: skip
        assert rows[task]["`paste`"]["psnr_outside"] is None
        assert rows[task]["`codes`, the notebook's way"]["psnr_outside"] > 0
    assert all(0 <= row["new"] <= 1 for row in rows["edit"].values())
    assert rows["upscale-2"]["bicubic"]["perceptual"] > 0
    shown = {table.title: table for table in tables(result)}
    assert "a model: Super-resolution: 4x4 to 16x16 pixels" in shown
    assert "FD-Eyes" in shown["a model: Out-painting: the right half"].headings
    page = (tmp_path / "out" / "study.md").read_text()
    assert "| `paste` | equal |" in page
    pictures = [line for line in page.splitlines() if line.startswith("![")]
    assert len(pictures) == 7
    for line in pictures:
        place = line.partition("(")[2].rstrip(")").replace("%20", " ")
        assert (tmp_path / "out" / place).is_file()

    (model,) = (system.model for system in study.systems)
    shutil.move(model, f"{model}-moved")  # what is done needs no model
    try:
        assert carried(study, tmp_path / "out")["systems"] == result["systems"]
    finally:
        shutil.move(f"{model}-moved", model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [(["transformer.depth=3"], "which transformer cannot change"), (["sampling.top=3"], "top")],
)
def test_settings_that_a_finished_model_cannot_take(study, tmp_path, settings, message):
    systems = [dataclasses.replace(study.systems[0], settings=settings)]
    with pytest.raises(VartkError, match=message):
        carried(dataclasses.replace(study, systems=systems), tmp_path / "out")


def test_a_raster_model_has_no_scales_to_keep(study, tmp_path):
    save_model(tiny_model(schedule="raster"), tmp_path / "raster")
    system = dataclasses.replace(study.systems[0], model=str(tmp_path / "raster"))
    with pytest.raises(VartkError, match="a model is no next-scale model of classes"):
        carried(dataclasses.replace(study, systems=[system]), tmp_path / "out")
