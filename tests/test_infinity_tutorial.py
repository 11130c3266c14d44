"""The Infinity tutorial: its commands run one after another on tiny files of the original's layout."""

import re
import shlex
from pathlib import Path

import encoders
import golden
import pytest
import torch
from tiny import images_folder

from vartk.cli.main import main

pytest.importorskip("transformers")
PAGE = Path(__file__).parents[1] / "docs" / "tutorials" / "infinity.md"
PRESET = "infinity-125m"
"""What the commands that are not run here name: its weights would be downloaded, or are large."""
WRITTEN = ("infinity", "apples", "more", "wide", "compared", "fast", "tuned", "cats")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def commands():
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith("vartk ") and PRESET not in line]


def test_the_tutorial_can_be_typed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = "infinity_tiny"
    torch.save({"vae": golden.weights(name, "vae")}, "infinity_vae_d16.pth")
    torch.save(golden.weights(name, "infinity"), "infinity_125M_256x256.pth")
    encoders.write(tmp_path / "flan-t5-xl", "t5", width=256)
    prompts, table = blocks("text")
    Path("prompts.txt").write_text(prompts)
    pictures = sorted(images_folder(tmp_path / "drawn", train=3, size=(256, 256)).rglob("train/*/*.png"))
    Path("photos").mkdir()
    for row, picture in zip(table.splitlines()[1:], pictures, strict=True):
        picture.rename(Path("photos") / row.split(",")[0])
    Path("photos/metadata.csv").write_text(table)
    for line in commands():
        offline = [] if line[1] in ("convert", "train") else ["--device", "cpu"]
        assert main([*line[1:], *offline]) == 0, capsys.readouterr().err
    for folder in WRITTEN:
        assert (tmp_path / folder).is_dir(), folder
    assert (tmp_path / "compared" / "compare.md").is_file()
    for text in blocks("python"):
        exec(compile(text, PAGE.name, "exec"), {})
    assert "2 images of 256x256 pixels, seeds 0-1" in capsys.readouterr().out
