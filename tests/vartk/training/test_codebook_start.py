"""A training whose codebook starts by k-means."""

import os
import subprocess
import sys

import pytest
import torch
import yaml
from tiny import CONFIG, Crash, Crashing, Quiet, images_folder, tiny_composed

from vartk.engine.recipes import train_tokenizer
from vartk.files import load_tensors
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")
STARTED = {"train.tokenizer.kmeans_images": 8, "augment.flip": True, "quantizer.classes": 8}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


def trained(images, out, reporter=None, *, resume=False, **settings):
    composed = tiny_composed(images, **(STARTED | settings))
    folder = train_tokenizer(composed, out, reporter=reporter or Quiet(), device="cpu", resume=resume)
    return load_tensors(folder / "tokenizer.safetensors")


def test_the_start_changes_the_codebook_alone_and_nothing_else_is_drawn(images, tmp_path):
    """Without a step that moves weights, the rest is what the seed gives."""
    still = {"train.tokenizer.lr": 1e-30, "train.tokenizer.steps": 1, "train.tokenizer.weight_decay": 0.0}
    started = trained(images, tmp_path / "started", **still)
    random = trained(images, tmp_path / "random", **still, **{"train.tokenizer.kmeans_images": 0})
    differ = [name for name in started if not torch.allclose(started[name], random[name], rtol=0, atol=1e-20)]
    assert differ == ["quantizer.codebook.weight"]


def test_a_stopped_run_goes_on_exactly(images, tmp_path):
    whole = trained(images, tmp_path / "whole")
    with pytest.raises(Crash):
        trained(images, tmp_path / "cut", Crashing(at=3))
    resumed = trained(images, tmp_path / "cut", resume=True)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_two_processes_start_with_the_codebook_of_one(images, tmp_path):
    settings = {
        **CONFIG,
        "dataset": {"name": "folder", "path": str(images)},
        "augment": {"flip": True},
        "quantizer": {"name": "vq", "classes": 8},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    still = ["lr=1e-30", "steps=1", "weight_decay=0", "kmeans_images=8"]
    words = [
        "train",
        "tokenizer",
        str(tmp_path / "config.yaml"),
        *(f"train.tokenizer.{each}" for each in still),
    ]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "vartk"]
    subprocess.run(
        [sys.executable, *launch, *words, "--out", str(tmp_path / "two"), "--device", "cpu"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        timeout=200,
    )
    still = {"train.tokenizer.lr": 1e-30, "train.tokenizer.steps": 1, "train.tokenizer.weight_decay": 0.0}
    alone = trained(images, tmp_path / "one", **still)
    two = load_tensors(tmp_path / "two" / "model" / "tokenizer.safetensors")
    name = "quantizer.codebook.weight"
    assert torch.equal(two[name], alone[name])


def test_a_quantizer_without_a_codebook_leaves_no_folder(images, tmp_path):
    composed = tiny_composed(images, **{"train.tokenizer.kmeans_images": 8, "quantizer": {"name": "bsq"}})
    with pytest.raises(VartkError, match=r"BinarySphericalQuantizer has no codebook"):
        train_tokenizer(composed, tmp_path / "out", reporter=Quiet(), device="cpu")
    assert not (tmp_path / "out").exists()
