"""The measurements of prompts: places by hand, the documented command, a small whole run."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "prompts.py"


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("prompts"), importlib.import_module("captioned.sight")


def test_a_caption_is_looked_for_among_as_many_as_said_and_stands_first_itself(scripts):
    _, sight = scripts
    choices = sight._choices(7, 300)
    assert choices[0] == 7
    assert len(set(choices)) == len(choices) == 100
    assert choices == sight._choices(7, 300) != sight._choices(8, 300)
    assert sorted(sight._choices(1, 5)) == [0, 1, 2, 3, 4]


def test_documented_commands_are_right(scripts):
    script, _ = scripts
    found = []
    for page in ("docs/emoji64-text/README.md", "benchmarks/README.md"):
        lines = (ROOT / page).read_text().replace("\\\n", " ")
        found += re.findall(r"^python benchmarks/prompts\.py (.*)$", lines, re.MULTILINE)
    assert len(found) == 2
    for words in found:
        script.parser().parse_args(shlex.split(words))


@pytest.mark.slow
def test_a_small_run_writes_tables(tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("all_minilm_l6_v2")
    path = os.pathsep.join(str(ROOT / folder) for folder in (".", "registry", "plugins"))
    words = ("--count", "5", "--training", "60", "--out", tmp_path / "made.md")
    subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=True,
    )
    made = (tmp_path / "made.md").read_text()
    assert made.count("\n## ") == 4
    assert made.count("| true pictures |") == 2
