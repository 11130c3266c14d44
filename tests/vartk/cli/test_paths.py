"""What the operating system refuses about a path: one line, exit code 2, and nothing is written."""

import pytest
from tiny import tiny_model

import vartk
from vartk.cli.main import main
from vartk_registry import VartkError

LONG = "a" * 400
COMMANDS = {
    "model": "sample BAD --out new",
    "out": "sample tiny --out BAD --count 1",
    "refiner": "sample tiny --refiner BAD --draft 1 --out new",
    "sampling preset": "sample tiny preset=BAD --out new",
    "folder": "train tokenizer demo dataset=folder dataset.path=BAD --out new",
    "folder of the demo": "demo dataset=folder dataset.path=BAD --out new",
    "shards": "train tokenizer demo dataset=webdataset dataset.train=BAD --out new",
    "classes": "train tokenizer demo dataset=webdataset dataset.train=shards dataset.classes=BAD --out new",
    "run": "train both demo --resume --out BAD",
    "configuration": "config show BAD.yaml",
    "tokenizer": "train transformer demo --tokenizer BAD --out new",
    "tokens": "train transformer demo --tokenizer tiny --tokens BAD --out new",
    "data": "eval tiny --data BAD",
    "compared": "compare BAD --out new",
    "calibrated": "calibrate BAD cache=ams_kv",
    "image": "reconstruct tiny BAD --out new",
    "workload": "bench attention BAD.yaml",
    "report": "bench flops demo --out BAD",
    "converted": "convert --tokenizer BAD --out new",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, with a model, a file and a loop of links."""
    monkeypatch.chdir(tmp_path)
    vartk.save(tiny_model(), tmp_path / "tiny")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("bad", [LONG, "a\0b", "file/x", "loop/x/y"], ids=["long", "nul", "file", "loop"])
def test_a_path_that_is_refused_is_a_line_and_nothing_is_written(place, words, bad, capsys):
    before = sorted(path.name for path in place.iterdir())
    assert main([word.replace("BAD", bad) for word in words.split()]) == 2
    message = capsys.readouterr().err.partition("vartk: ")[2]
    assert message
    assert "\0" not in message
    assert sorted(path.name for path in place.iterdir()) == before


def test_nul_bytes_in_values_are_named_by_their_key(place, capsys):
    assert main(["train", "tokenizer", "demo", "dataset=folder", 'dataset.path="a\\0b"', "--out", "new"]) == 2
    assert r"dataset.path of dataset 'folder': path='a\x00b' holds a NUL byte" in capsys.readouterr().err


def test_python_callers_get_the_same(place):
    model = vartk.load(place / "tiny")
    for call in (
        lambda bad: vartk.load(bad),
        lambda bad: vartk.load("tiny", preset=bad),
        lambda bad: vartk.save(model, bad),
        lambda bad: model.sample([0], preset=bad),
    ):
        for bad in (LONG, "a\0b", "file/x", "loop/x/y"):
            with pytest.raises(VartkError):
                call(bad)
