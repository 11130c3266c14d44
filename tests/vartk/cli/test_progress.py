"""Progress: bars in a terminal, a few lines in a log."""

import io

import pytest
from rich.console import Console

from vartk.cli import progress
from vartk.cli.progress import TrainingBar, bars

VALUES = {"loss": 1.23456, "accuracy": 0.5, "grad_norm": 9.0, "lr": 1e-4, "images_per_second": 12.34}


@pytest.fixture
def terminal(monkeypatch):
    """What a terminal of 80 columns would show."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80, color_system=None, legacy_windows=False)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    return shown


def test_a_log_gets_about_ten_lines_a_bar(capsys):
    with bars() as add_bar:
        bar = add_bar("tokenize train", 7332)
        for done in range(0, 7332, 32):
            bar.update(done)
        bar.update(7332)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "tokenize train 0/7332"
    assert lines[-1] == "tokenize train 7332/7332"
    assert len(lines) == 11


def test_a_log_gets_a_line_a_minute_at_least(capsys, monkeypatch):
    clock = iter(range(0, 1000, 50))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with bars() as add_bar:
        bar = add_bar("tokenizer", 100_000)
        for done in range(8):
            bar.update(done)
    told = [line.split()[1].split("/")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == ["0", "2", "4", "6"]


def test_nothing_goes_to_stdout(capsys):
    with bars() as add_bar:
        add_bar("sample", 2).update(1, "scale 1/3")
    assert capsys.readouterr().out == ""


def test_training_shows_its_numbers(capsys):
    with bars() as add_bar:
        bar = TrainingBar(add_bar("tokenizer", 10))
        bar.step(10, VALUES)
        bar.event("step 10 picture: [a/b].png")
    assert capsys.readouterr().err.splitlines() == [
        "tokenizer 10/10 loss 1.235 accuracy 0.5 lr 0.0001 12.3 img/s",
        "step 10 picture: [a/b].png",
    ]


def test_a_narrow_terminal_cuts_only_the_details(terminal):
    with bars() as add_bar:
        TrainingBar(add_bar("2/2 transformer", 300)).step(150, VALUES | {"accuracy_last": 0.123456})
    line = [line for line in terminal.getvalue().splitlines() if "transformer" in line][-1]
    assert all(text in line for text in ("2/2 transformer", "150/300", "loss 1.235", "…"))
    assert "img/s" not in line


def test_a_log_says_how_much_time_is_left(capsys, monkeypatch):
    """After half a minute, at the speed since the first step: what was there before took no time."""
    clock = iter([0, 0, 70, 140, 190])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with bars() as add_bar:
        bar = add_bar("sample", 1000)
        for done in (500, 570, 640, 990):
            bar.update(done, "scale 1/3")
    assert capsys.readouterr().err.splitlines() == [
        "sample 500/1000 scale 1/3",
        "sample 570/1000 scale 1/3, 0:07:10 left",
        "sample 640/1000 scale 1/3, 0:06:00 left",
        "sample 990/1000 scale 1/3",
    ]
