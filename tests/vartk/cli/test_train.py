"""vartk train and vartk tokenize: from images to a model, and what can be wrong on the way."""

import json
import shutil

import pytest
import tiny
from omegaconf import OmegaConf

from vartk.cli.main import main
from vartk.config import plain


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny.images_folder(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def config(images):
    """The tiny configuration as a file."""
    path = images.parent / "tiny.yaml"
    path.write_text(OmegaConf.to_yaml(plain(tiny.tiny_config(images))))
    return path


@pytest.fixture(scope="module")
def tokenizer(config):
    """The run folder of a trained tokenizer."""
    run = config.with_name("tokenizer")
    assert main(["train", "tokenizer", str(config), "train.tokenizer.steps=2", "--out", str(run)]) == 0
    return run


@pytest.fixture(scope="module")
def tokens(config, tokenizer):
    folder = config.with_name("tokens")
    assert main(["tokenize", str(config), "--tokenizer", str(tokenizer), "--out", str(folder)]) == 0
    return folder


def test_from_images_to_samples(vartk, config, tokenizer, tmp_path):
    run = tmp_path / "run"
    ran = vartk("train", "transformer", config, "--tokenizer", tokenizer, "--out", run)
    assert ran.code == 0, ran.err
    assert ran.out == f"model: {run / 'model'}\nnext: vartk sample {run / 'model'} --out DIR\n"
    assert "tokenize train 9/9" in ran.err
    assert "transformer 4/4 loss " in ran.err
    assert (tmp_path / "run-tokens").is_dir()
    assert vartk("sample", run, "--class", "stripes", "--out", tmp_path / "samples").code == 0
    assert vartk("sample", run / "model", "--out", tmp_path / "more").code == 0


def test_both_stages_in_one_go(vartk, refused, config, tmp_path):
    run, whole = tmp_path / "run", tmp_path / "whole"
    ran = vartk(
        "train", "both", config, "train.tokenizer.steps=2", "train.transformer.ema=0.5", "--out", whole
    )
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"model: {whole / 'transformer' / 'model'}\n")
    weights = (whole / "transformer" / "model" / "transformer.safetensors").read_bytes()
    shutil.copytree(whole, run)
    shutil.rmtree(run / "transformer")  # as if it was stopped between the stages
    assert vartk("train", "both", config, "--out", run, "--resume").code == 0
    assert (run / "transformer" / "model" / "transformer.safetensors").read_bytes() == weights
    assert "exists and is not overwritten" in refused("train", "both", config, "--out", run)
    assert "leave --resume out" in refused("train", "both", config, "--out", tmp_path / "none", "--resume")


def test_a_run_folder_keeps_its_configuration_and_where_it_came_from(tokenizer, config):
    names = {path.name for path in tokenizer.iterdir()}
    assert {"config.yaml", "sources.json", "environment.json", "metrics.jsonl", "model", "pictures"} <= names
    sources = json.loads((tokenizer / "sources.json").read_text())
    assert sources["train.tokenizer.steps"] == "command line"
    assert sources["image_size"] == str(config)


def test_tokens_are_made_once(vartk, config, tokenizer, tokens, tmp_path):
    run = tmp_path / "run"
    words = ("train", "transformer", config, "--tokenizer", tokenizer, "--tokens", tokens, "--out", run)
    ran = vartk(*words, "--json")
    assert json.loads(ran.out) == {"model": str(run / "model"), "run": str(run)}
    assert "tokenize" not in ran.err
    assert not (tmp_path / "run-tokens").exists()


def test_resume_goes_on_as_the_run_began(vartk, config, tmp_path):
    run = tmp_path / "run"
    assert vartk("train", "tokenizer", config, "train.tokenizer.steps=2", "--out", run).code == 0
    ran = vartk("train", "tokenizer", config, "train.tokenizer.steps=3", "--out", run, "--resume")
    assert ran.code == 0
    assert "resumed after step 2" in ran.err
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert sorted(set(steps)) == [1, 2, 3]


def test_a_resumed_run_takes_settings_without_a_config(vartk, config, tmp_path):
    """The run has its own configuration; the first setting was once taken for one, and lost."""
    run = tmp_path / "run"
    assert vartk("train", "tokenizer", config, "train.tokenizer.steps=1", "--out", run).code == 0
    ran = vartk("train", "tokenizer", "train.tokenizer.steps=2", "--out", run, "--resume")
    assert ran.code == 0, ran.err
    assert "resumed after step 1 of 2" in ran.err


def test_images_that_cannot_be_read_are_skipped_counted_and_named(vartk, config, images, tmp_path, caplog):
    mixed = shutil.copytree(images, tmp_path / "mixed")
    (mixed / "train" / "dark" / "notes.txt").write_text("not an image")
    (mixed / "train" / "light" / "bad").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    (mixed / "validation" / "dark" / "empty.jpg").write_bytes(b"")
    words = (f"dataset.path={mixed}", "train.tokenizer.steps=1", "--out", tmp_path / "run")
    ran = vartk("train", "tokenizer", config, *words)
    assert ran.code == 0
    lines = ran.err.splitlines()
    assert lines[0] == "train: 2 images skipped:"
    assert lines[1].startswith("  train/dark/notes.txt: not an image")
    assert lines[2].startswith("  train/light/bad: ")
    assert "empty.jpg" not in lines[3]  # which is opened when the validation reads it
    assert "skipped validation/dark/empty.jpg: not an image" in caplog.text


def test_folders_without_images(refused, config, tmp_path):
    def message(path):
        words = (f"dataset.path={path}", "--out", tmp_path / "run")
        return refused("train", "tokenizer", config, *words)

    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    for index in range(20):
        (tmp_path / "texts" / f"{index}.txt").write_text("text")
    assert f"{tmp_path / 'empty'} has no images" in message(tmp_path / "empty")
    assert "none a readable image" in message(tmp_path / "texts")
    assert "does not exist" in message(tmp_path / "gone")
    assert "needs path" in message("''")
    assert not (tmp_path / "run").exists()


def test_configurations_that_cannot_be_trained(refused, config, tmp_path):
    def message(*overrides):
        return refused("train", "tokenizer", config, *overrides, "--out", tmp_path / "run")

    assert "18x18" in message("image_size=18")
    assert "schedule 'custom' ends at 2x2" in message("schedule.grids=[1,2]")
    assert "command line: train.tokenizer.steps=0 is out of range" in message("train.tokenizer.steps=0")
    assert "unknown key 'steps'; did you mean train.tokenizer.steps or" in message("steps=3")
    assert "unknown quantizer 'vqq'" in message("quantizer=vqq")
    assert "device 'gpu' cannot be used" in message("--device", "gpu")
    assert not (tmp_path / "run").exists()


def test_runs_are_never_overwritten(refused, config, tokenizer, tokens):
    again = ("--tokenizer", tokenizer, "--out")
    for words in (
        ("train", "tokenizer", config, "--out", tokenizer),
        ("train", "transformer", config, *again, tokenizer),
        ("tokenize", config, *again, tokens),
    ):
        assert "exists and is not overwritten; give another --out, or remove it" in refused(*words)


def test_what_does_not_belong_together(refused, config, tokenizer, tokens, tmp_path):
    out = ("--out", tmp_path / "run")
    stage_two = ("train", "transformer", config, "--tokenizer")
    assert "no model 'nowhere'" in refused(*stage_two, "nowhere", *out)
    assert "no model 'nowhere'" in refused("tokenize", config, "--tokenizer", "nowhere", *out)
    assert "is not a folder of tokens" in refused(*stage_two, tokenizer, "--tokens", "nowhere", *out)
    other = refused(*stage_two, tokenizer, "--tokens", tokens, "schedule.grids=[1,4]", *out)
    assert "make them again with `vartk tokenize`" in other
    assert "is not that of the tokenizer" in refused(
        "tokenize", config, "--tokenizer", tokenizer, "quantizer.classes=23", *out
    )
    assert "is not a run that could be resumed" in refused("train", "tokenizer", config, *out, "--resume")
    assert not (tmp_path / "run").exists()


def test_the_tokens_as_json(vartk, config, tokenizer, tmp_path):
    folder = tmp_path / "tokens"
    ran = vartk("tokenize", config, "--tokenizer", tokenizer, "--out", folder, "--json")
    assert json.loads(ran.out) == {"tokens": str(folder)}
    assert ran.err.splitlines()[-1] == "tokenize validation 6/6"
