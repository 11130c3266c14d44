"""A tiny study from the beginning to its page, and after a kill."""

import dataclasses
import json
import re
import shlex
from xml.etree import ElementTree

import pytest
import yaml
from studying import carried
from tiny import CONFIG, Crash, Crashing, Quiet, images_folder

from vartk.cli.main import build_parser
from vartk.engine.training import Run
from vartk.studies import read_study, tables, write_study
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")

SYSTEMS = [
    {"name": "small"},
    {"name": "wide", "settings": ["transformer.width=48"]},
    {"name": "raster", "settings": ["schedule=raster"]},
]
DIT = [
    "generator=dit",
    "generator.depth=1",
    "generator.heads=2",
    "generator.head_dim=16",
    "generator.steps=3",
]
DIT += [
    "generator.noise_steps=20",
    *(f"train.generator.{key}=4" for key in ("steps", "batch", "eval_images")),
]
DIT += ["train.generator.eval_every=2"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Write a study of three systems, and read it."""
    folder = tmp_path_factory.mktemp("study")
    dataset = {"name": "folder", "path": str(images_folder(folder / "images"))}
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**CONFIG, "dataset": dataset}))
    values = {
        "title": "Tiny",
        "config": str(folder / "tiny.yaml"),
        "settings": ["train.transformer.eval_every=2"],
        "systems": SYSTEMS,
        "measures": ["validation", "scaling", "speed"],
        "batches": [1, 2],
        "repeats": 2,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(values))
    changed = {"systems": [{"name": "var"}, {"name": "dit", "settings": DIT}], "samples": 6, "repeats": 1}
    changed["systems"].append(
        {"name": "guided", "weights": "dit", "settings": [*DIT, "generator.guidance=3"]}
    )
    changed["measures"] = ["validation", "distances", "speed"]
    (folder / "dit.yaml").write_text(yaml.safe_dump({**values, **changed}))
    shares = {"data.share": [0.5, 1], "train.transformer.steps": [2, 4]}
    changed = {"systems": [{"name": "var", "group": "VAR", "vary": shares}], "samples": 6}
    changed["measures"] = ["validation", "distances", "data"]
    (folder / "data.yaml").write_text(yaml.safe_dump({**values, **changed}))
    return read_study(str(folder / "study.yaml"))


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    """Carry the study out; return its folder and its result."""
    folder = tmp_path_factory.mktemp("done") / "out"
    result = {"command": "vartk study tiny.yaml --out out", **carried(study, folder)}
    write_study(result, folder)
    return folder, result


def test_every_system_is_trained_and_validated(done):
    folder, result = done
    for name, row in result["systems"].items():
        lines = [line for line in Run(folder / "runs" / name).metrics() if "val_loss" in line]
        assert row["validation"]["loss"] == lines[-1]["val_loss"]
        assert row["validation"]["images"] == 16
    small, wide = (result["systems"][name]["validation"]["parameters"] for name in ("small", "wide"))
    assert small < wide


def test_a_tokenizer_is_trained_once_for_the_systems_that_share_it(done):
    folder, _ = done
    assert len(list((folder / "tokenizers").iterdir())) == 2  # three scales, and one
    assert len(list((folder / "tokens").iterdir())) == 2


def test_speed_has_a_row_for_each_system_and_batch(done):
    _, result = done
    rows = result["speed"]
    assert [(row["batch"], row["system"]) for row in rows] == [
        (batch, system["name"]) for batch in (1, 2) for system in SYSTEMS
    ]
    assert {row["system"]: row["steps"] for row in rows} == {"small": 3, "wide": 3, "raster": 16}
    for row in rows:
        assert row["images_per_second"] == pytest.approx(row["batch"] / row["seconds"]["median"])
        assert 0 < row["processor_seconds"]["median"] < 1.5 * row["seconds"]["high"]  # of one thread


def test_too_few_runs_for_a_law_are_told_and_no_error(done):
    _, result = done
    assert not [law for law in result["scaling"]["laws"] if law["axis"] == "parameters"]
    assert "3 points cannot tell the 3 numbers" in result["scaling"]["refused"][0]["why"]


def test_the_page_has_tables_plots_and_commands_that_parse(done):
    folder, result = done
    page = (folder / "study.md").read_text()
    for table in tables(result):
        assert f"## {table.title}" in page
    commands = re.search(r"```text\n(.*?)```", page, re.DOTALL)[1].splitlines()
    assert len(commands) == 2 + 3
    for command in commands:
        build_parser("train").parse_known_args(shlex.split(command)[1:])
    for name in ("speed.svg", "scaling.svg"):
        assert f"({name})" in page
        ElementTree.fromstring((folder / name).read_text())
    assert json.loads((folder / "study.json").read_text()) == json.loads(json.dumps(result))


def test_what_is_done_is_not_done_again(study, done):
    folder, result = done
    again = carried(study, folder, reporter=lambda bar: Crashing(at=1))  # a step of training would raise
    assert again["systems"] == result["systems"]
    assert again["speed"] == result["speed"]


def test_after_a_kill_the_same_numbers_come_out(study, done, tmp_path):
    seen = []

    def reporter(bar):
        seen.append(bar.title)
        return Crashing(at=3) if bar.title == "wide" else Quiet()

    with pytest.raises(Crash):
        carried(study, tmp_path / "out", reporter)
    assert seen[-1] == "wide"
    result = carried(study, tmp_path / "out")
    losses = {name: row["validation"]["loss"] for name, row in result["systems"].items()}
    assert losses == {name: row["validation"]["loss"] for name, row in done[1]["systems"].items()}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of diffusers
def test_a_diffusion_transformer_is_a_system_beside_next_scale_models(study, tmp_path):
    path = study.config.replace("tiny.yaml", "dit.yaml")
    result = {"command": f"vartk study {path}", **carried(read_study(path), tmp_path / "out")}
    rows = result["systems"]
    lines = [line for line in Run(tmp_path / "out" / "runs" / "dit").metrics() if "val_loss" in line]
    assert rows["dit"]["validation"]["loss"] == rows["guided"]["validation"]["loss"] == lines[-1]["val_loss"]
    assert rows["dit"]["validation"]["error"] is None
    assert rows["dit"]["distances"]["sampling"]["generator"]["guidance"] == 1.5
    assert rows["dit"]["distances"]["fd"] != rows["guided"]["distances"]["fd"]
    assert [row["steps"] for row in result["speed"] if row["batch"] == 1] == [3, 3, 3]
    write_study(result, tmp_path / "out")
    page = (tmp_path / "out" / "study.md").read_text()
    assert re.search(r"\| dit \| [\d,]+ \| 16 \| [\d.]+ \| \S+ \| [\d.]+ \| - \| - \|", page)
    assert "vartk train generator" in page
    mixed = dataclasses.replace(read_study(path), measures=["scaling"])
    with pytest.raises(VartkError, match="var: none, dit: dit"):
        carried(mixed, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_quality_by_share_and_epochs(study, tmp_path):
    path = study.config.replace("tiny.yaml", "data.yaml")
    result = {"command": f"vartk study {path}", **carried(read_study(path), tmp_path / "out")}
    rows = result["data"]["rows"]
    assert [(row["share"], row["training_images"], row["epochs"]) for row in rows] == [
        (0.5, 4, 2), (0.5, 4, 4), (1, 9, pytest.approx(8 / 9)), (1, 9, pytest.approx(16 / 9))
    ]  # fmt: skip
    assert len(list((tmp_path / "out" / "tokenizers").iterdir())) == 1
    assert len(list((tmp_path / "out" / "tokens").iterdir())) == 2
    write_study(result, tmp_path / "out")
    page = (tmp_path / "out" / "study.md").read_text()
    assert re.search(r"\| VAR \| 0.5 \| 4 \| 2 \| \d", page)
    assert "(data.svg)" in page
    ElementTree.fromstring((tmp_path / "out" / "data.svg").read_text())
    for system in result["systems"].values():
        assert (system["distances"]["n"], system["distances"]["m"]) == (4, 5)  # of all images


def test_other_settings_need_another_folder(study, done):
    other = read_study(study.config.replace("tiny.yaml", "study.yaml"), ["transformer.depth=3"])
    with pytest.raises(VartkError, match="holds a study begun with other settings"):
        carried(other, done[0])


def test_the_command_lists_studies_and_asks_for_a_folder(vartk):
    assert "The speed of next-scale prediction, next-token prediction and diffusion" in vartk("study").out
    ran = vartk("study", "speed")
    assert ran.code == 2
    assert "add --out DIR" in ran.err
