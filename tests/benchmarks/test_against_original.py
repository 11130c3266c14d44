"""The published code of VAR beside vartk: what a user is told, and with a checkout at hand a whole run."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKOUT = os.environ.get("VAR_CHECKOUT")
"""A checkout of github.com/FoundationVision/VAR."""


def against_original(*words):
    path = os.pathsep.join(str(ROOT / folder) for folder in (".", "registry", "plugins"))
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "against_original.py"), *map(str, words)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_folder_without_the_published_code_is_refused(tmp_path):
    done = against_original("--original", tmp_path, "--out", tmp_path / "result.md")
    assert done.returncode == 2
    assert done.stderr == (
        f"against_original: {tmp_path} is no checkout of VAR's published code: it has no models/var.py; "
        "clone https://github.com/FoundationVision/VAR and give that folder\n"
    )
    assert not (tmp_path / "result.md").exists()


def test_the_documented_commands_are_right(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    parser = importlib.import_module("against_original").parser()
    page = (ROOT / "benchmarks" / "README.md").read_text()
    found = re.findall(r"^python benchmarks/against_original.py (.*)$", page, re.MULTILINE)
    assert found
    for line in found:
        parser.parse_args(shlex.split(line))


@pytest.mark.skipif(not CHECKOUT, reason="needs a checkout of VAR, named by VAR_CHECKOUT")
def test_both_codes_compute_the_same_and_are_timed(tmp_path):
    out = tmp_path / "result.md"
    done = against_original(
        *("--original", CHECKOUT, "--device", "cpu", "--size", "tiny", "--depth", 2, "--batch", "1,2"),
        *("--train-batch", 2, "--runs", 1, "--out", out),
    )
    assert done.returncode == 0, done.stderr
    page = out.read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    measured = [row for row in rows if row[0] in ("sample d2", "train d2")]
    assert [row[:2] for row in measured] == [["sample d2", "1"], ["sample d2", "2"], ["train d2", "2"]]
    assert not any("not here" in cell or cell == "-" for row in measured for cell in row)
    assert "the original's attention is torch's scaled_dot_product_attention" in page
