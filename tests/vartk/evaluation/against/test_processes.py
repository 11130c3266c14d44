"""Samples by several processes, as torchrun starts them."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny

LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "vartk"]


def run(*words, launch=("-m", "vartk")):
    """Run a command line in processes of its own, and return what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, *launch, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_processes_divide_the_samples_and_one_evaluates_them(model_folder, tmp_path):
    photos = tiny.images_folder(tmp_path / "photos")
    words = (
        "eval",
        model_folder,
        "--reference",
        photos,
        "--count",
        450,
        "batch=50",
        "--json",
        "--device",
        "cpu",
    )
    together = run(*words, "--samples", tmp_path / "both", launch=LAUNCH)
    assert together.returncode == 0, together.stderr
    (line,) = together.stdout.splitlines()  # one of them prints
    alone = run(*words, "--samples", tmp_path / "one")
    assert json.loads(line)["numbers"] == json.loads(alone.stdout)["numbers"]
    for path in (tmp_path / "one").glob("*.npz"):
        with np.load(path) as a, np.load(tmp_path / "both" / path.name) as b:
            assert np.array_equal(a["arr_0"], b["arr_0"])
    refused = run("eval", model_folder, "dataset=folder", f"dataset.path={photos}", launch=LAUNCH)
    assert "torchrun divides the samples of `vartk eval MODEL --reference R`" in refused.stderr


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_without_a_changed_image(model_folder, tmp_path):
    photos = tiny.images_folder(tmp_path / "photos")
    words = ("eval", model_folder, "--reference", photos, "--count", 1400, "batch=10", "--json")
    whole = json.loads(run(*words, "--samples", tmp_path / "whole").stdout)
    command = [sys.executable, "-m", "vartk", *map(str, words), "--samples", str(tmp_path / "s")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list((tmp_path / "s").glob("*.npz"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("[0-9]*.npz")}
    assert 2 <= len(kept) < 7
    again = json.loads(run(*words, "--samples", tmp_path / "s").stdout)
    assert again["numbers"] == whole["numbers"]
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    for path in (tmp_path / "whole").glob("*.npz"):
        with np.load(path) as a, np.load(tmp_path / "s" / path.name) as b:
            assert np.array_equal(a["arr_0"], b["arr_0"])
