"""Training from shards."""

import json
import shutil

import pytest
import torch
import yaml
from shards import shard
from tiny import CLASSES, images_folder, tiny_config

from vartk.cli.main import main
from vartk.config import plain
from vartk.engine.training import Run
from vartk.files import load_tensors


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A configuration file of a tiny model and two training shards, one validation shard."""
    folder = tmp_path_factory.mktemp("training")
    images = images_folder(folder / "images")
    for split in ("train", "validation"):
        files = {}
        for path in sorted((images / split).rglob("*.png"), key=lambda path: int(path.stem)):
            files |= {f"{path.stem}.png": path.read_bytes(), f"{path.stem}.cls": path.parent.name}
        halves = [dict(list(files.items())[:8]), dict(list(files.items())[8:])]
        for number, half in enumerate(halves):
            shard(folder / f"{split}-{number}.tar", half)
    config = plain(tiny_config(images, **{"train.tokenizer.save_every": 1, "train.tokenizer.steps": 2}))
    config["classes"] = []
    config["dataset"] = {
        "name": "webdataset",
        "train": str(folder / "train-{0..1}.tar"),
        "validation": [str(folder / "validation-*.tar")],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def train(config, out, *settings):
    """Train two steps, and return the tokenizer's weights and the metrics."""
    assert main(["train", "tokenizer", str(config), "--out", str(out), *settings]) == 0
    return load_tensors(out / "model" / "tokenizer.safetensors"), Run(out).metrics()


def test_training_from_shards_resumes_identically(training, tmp_path):
    weights, metrics = train(training, tmp_path / "whole")
    assert yaml.safe_load((tmp_path / "whole" / "config.yaml").read_text())["classes"] == CLASSES
    assert [line["step"] for line in metrics if "loss" in line] == [1, 2]
    run = shutil.copytree(tmp_path / "whole", tmp_path / "run")
    shutil.rmtree(run / "checkpoints" / "step-00000002")  # as if it had been killed in step 2
    shutil.rmtree(run / "model")
    again, metrics_again = train(training, run, "train.tokenizer.workers=2", "--resume")
    assert metrics_again == metrics
    assert weights.keys() == again.keys()
    assert all(torch.equal(weights[key], again[key]) for key in weights)


def test_tokens_keep_the_labels_of_shards(training, tmp_path):
    train(training, tmp_path / "run")
    tokens = tmp_path / "tokens"
    assert main(["tokenize", str(training), "--tokenizer", str(tmp_path / "run"), "--out", str(tokens)]) == 0
    assert json.loads((tokens / "tokens.json").read_text())["classes"] == CLASSES
    assert load_tensors(tokens / "train.safetensors")["labels"].flatten().tolist() == [0, 1, 2] * 3
