"""The measurements of the zero-shot tasks: numbers by hand, the documented command, a small whole run."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "zero_shot.py"


@pytest.fixture
def held_out(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("held_out.pictures")


def test_the_psnr_of_a_part(held_out):
    true = torch.zeros(1, 3, 4, 4)
    made = true.clone()
    made[..., :2] = 0.1
    left = torch.zeros(4, 4)
    left[:, :2] = 1
    assert held_out.psnr(made, true, left) == pytest.approx(20)
    assert held_out.psnr(made, true) == pytest.approx(23.0103)
    assert held_out.psnr(made, true, 1 - left) == float("inf")


def test_the_seam_is_the_step_across_the_masks_edge(held_out):
    mask = torch.zeros(4, 4)
    mask[1:3, 1:3] = 1
    images = torch.rand(2, 3, 4, 4) * 0.01
    assert held_out.seam((mask * 0.2).expand(2, 3, 4, 4), mask) == pytest.approx(51)
    assert held_out.seam(images, mask) < 2.55


def test_documented_commands_are_right(held_out):
    script = importlib.import_module("zero_shot")
    found = []
    for page in ("docs/tasks.md", "benchmarks/README.md"):
        lines = (ROOT / page).read_text().replace("\\\n", " ")
        found += re.findall(r"^python benchmarks/zero_shot\.py (.*)$", lines, re.MULTILINE)
    assert found
    for words in found:
        script.parser().parse_args(shlex.split(words))


@pytest.mark.slow
def test_a_small_run_writes_tables_and_pictures(tmp_path):
    path = os.pathsep.join(str(ROOT / folder) for folder in (".", "registry", "plugins"))
    words = ("--count", "5", "--training", "40", "--out", tmp_path / "made.md", "--pictures", tmp_path)
    subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=True,
    )
    made = (tmp_path / "made.md").read_text()
    assert made.count("\n## ") == 5
    assert "| `paste` | equal |" in made
    assert len(list(tmp_path.glob("*.png"))) == 7
