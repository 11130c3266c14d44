"""A study of tokenizers: alone, and with a transformer on each of them."""

import dataclasses
import json
import re
import shlex

import pytest
import yaml
from studying import carried
from tiny import CONFIG, Crashing, images_folder

from vartk.cli.main import build_parser
from vartk.engine.training import Run
from vartk.studies import read_study, tables, write_study

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    dataset = {"name": "folder", "path": str(images_folder(folder / "images"))}
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**CONFIG, "dataset": dataset}))
    values = {
        "title": "Tiny tokenizers",
        "config": str(folder / "tiny.yaml"),
        "settings": ["train.tokenizer.eval_images=99"],
        "systems": [
            {"name": "vq"},
            {"name": "simvq", "settings": ["quantizer=simvq", "quantizer.classes=24"]},
            {"name": "two scales", "settings": ["schedule.grids=[2,4]"]},
        ],
        "measures": ["reconstruction"],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(values))
    return read_study(str(folder / "study.yaml"))


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("done") / "out"
    result = {"command": "vartk study study.yaml --out out", **carried(study, folder)}
    write_study(result, folder)
    return folder, result


def test_numbers_are_those_of_the_trainings_own_validation(done):
    folder, result = done
    runs = {run.name: run for run in (folder / "tokenizers").iterdir()}
    assert len(runs) == 3
    assert not (folder / "runs").exists()
    for row in result["systems"].values():
        (command,) = row["commands"]
        run = runs[command.split("/")[-1]]
        last = [line for line in Run(run).metrics() if "val_psnr_db" in line][-1]
        found = row["reconstruction"]
        for key in ("psnr_db", "ssim", "usage", "perplexity", "usage_0", "perplexity_1"):
            assert found[key] == pytest.approx(last[f"val_{key}"], rel=1e-4)
        assert found["perceptual"] > 0
        assert found["images"] == 16
        assert found["seconds"] > 0


def test_reconstructions_are_as_far_from_their_images_as_vartk_eval_says(study, done, vartk):
    folder, result = done
    row = result["systems"]["vq"]
    run = folder / "tokenizers" / row["commands"][0].split("/")[-1]
    told = json.loads(vartk("eval", run, "--tokenizer-only", "--json").out.splitlines()[-1])
    assert row["reconstruction"]["distances"] == pytest.approx(
        told["distances"]["reconstructions"]["validation"], rel=1e-3
    )


def test_samples_of_a_transformer_on_each_tokenizer_stand_beside_its_reconstructions(study, tmp_path):
    asked = dataclasses.replace(
        study, systems=study.systems[:2], measures=["reconstruction", "validation", "distances"], samples=6
    )
    result = carried(asked, tmp_path / "out")
    quality, *_ = tables(result)
    columns = quality.headings[5:7]
    assert columns == ("FD-ELite0 of reconstructions", "FD-ELite0 of samples")
    for shown in quality.rows:
        row = result["systems"][shown[0]]
        far = row["reconstruction"]["distances"]["fd"], row["distances"]["fd"]
        assert shown[5:7] == tuple(f"{number:.4g}" for number in far)
        tokenizer, transformer = row["commands"]
        assert f"--tokenizer {tokenizer.split(' --out ')[1]}/model" in transformer
    assert len(list((tmp_path / "out" / "tokens").iterdir())) == 2


def test_the_page_has_both_tables_and_commands_that_parse(done):
    folder, result = done
    page = (folder / "study.md").read_text()
    quality, use = tables(result)
    assert [row[0] for row in quality.rows] == ["vq", "simvq", "two scales"]
    assert use.headings == ("tokenizer", "scale 0", "scale 1", "scale 2")
    found = result["systems"]["two scales"]["reconstruction"]
    shown = f"{found['perplexity_1']:.0f} ({found['usage_1']:.1%})"
    assert use.rows[2][2:] == (shown, "")
    commands = re.search(r"```text\n(.*?)```", page, re.DOTALL)[1].splitlines()
    assert len(commands) == 3
    for command in commands:
        build_parser("train").parse_known_args(shlex.split(command)[1:])


def test_what_is_done_is_not_done_again(study, done):
    folder, result = done
    again = carried(study, folder, reporter=lambda bar: Crashing(at=1))  # a step of training would raise
    assert again["systems"] == result["systems"]
