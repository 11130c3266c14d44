"""A run that is stopped at any moment goes on as if it had not been."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest
import torch
import yaml
from tiny import Crash, Quiet, full_disk, images_folder, tiny_composed, tiny_config

from vartk.cli.main import main
from vartk.components import plugins
from vartk.config import Config, compose, load_layers, parse_overrides, plain
from vartk.engine.recipes import tokenize_dataset, train_tokenizer, train_transformer
from vartk.engine.training import Run
from vartk.files import load_tensors
from vartk_registry import VartkError

STAGE = {
    "steps": 6,
    "warmup": 0.5,
    "ema": 0.9,
    "save_every": 2,
    "eval_every": 3,
    "preview_every": 3,
    "keep": 3,
}
SETTINGS = {
    **{
        f"train.{stage}.{key}": value
        for stage in ("tokenizer", "transformer")
        for key, value in STAGE.items()
    },
    "train.transformer.label_drop": 0.5,
    "train.transformer.views": 2,
    "augment.scale": 1.5,
    "augment.flip": True,
    "tokenizer.dropout": 0.2,
    "transformer.drop_path": 0.5,
    "transformer.dropout": 0.1,
}


class Stopping(Quiet):
    """A reporter that does something at a step."""

    def __init__(self, at, action):
        super().__init__()
        self.at, self.action = at, action

    def step(self, step, values):
        super().step(step, values)
        if step == self.at:
            self.action()


def crash():
    raise Crash


def find(folder):
    """The files under a folder and their contents."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def whole_tokenizer(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "tokenizer"
    train_one(images, out)
    return out


@pytest.fixture(scope="module")
def crashed(images, tmp_path_factory):
    """A run that crashed at step 5, with the checkpoints of steps 2 and 4."""
    out = tmp_path_factory.mktemp("crashed") / "run"
    with pytest.raises(Crash):
        train_one(images, out, Stopping(5, crash))
    return out


@pytest.fixture
def run(crashed, tmp_path):
    """A copy of the crashed run."""
    return shutil.copytree(crashed, tmp_path / "run")


@pytest.fixture(scope="module")
def tokens(images, whole_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "tokens"
    config = tiny_config(images, **SETTINGS)
    tokenize_dataset(config, whole_tokenizer / "model", folder, device="cpu", progress=lambda *args: None)
    return folder


@pytest.fixture(scope="module")
def whole_transformer(images, whole_tokenizer, tokens, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "transformer"
    train_two(images, whole_tokenizer, tokens, out)
    return out


def train_one(images, out, reporter=None, resume=False, **settings):
    composed = tiny_composed(images, **{**SETTINGS, **settings})
    return train_tokenizer(composed, out, reporter=reporter or Quiet(), device="cpu", resume=resume)


def train_two(images, tokenizer, tokens, out, reporter=None, resume=False, **settings):
    return train_transformer(
        tiny_composed(images, **{**SETTINGS, **settings}),
        tokenizer / "model",
        tokens,
        out,
        reporter=reporter or Quiet(),
        device="cpu",
        resume=resume,
    )


def assert_same_run(run, expected):
    assert Run(run).metrics() == Run(expected).metrics()
    files = [path.relative_to(expected) for path in sorted(expected.glob("model/*.safetensors"))]
    assert files
    for name in files:
        ours, theirs = load_tensors(run / name), load_tensors(expected / name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for path in (expected / "pictures").iterdir():
        assert (run / "pictures" / path.name).read_bytes() == path.read_bytes()
    assert not list(run.rglob(".*.partial"))
    steps = [sorted(path.name for path in (folder / "checkpoints").iterdir()) for folder in (run, expected)]
    assert steps[0][-1] == steps[1][-1]


def test_a_tokenizer_run_that_crashed_goes_on_identically(images, whole_tokenizer, run):
    reporter = Quiet()
    train_one(images, run, reporter, resume=True)
    assert reporter.events[0] == "resumed after step 4 of 6"
    assert reporter.steps == [5, 6]
    assert_same_run(run, whole_tokenizer)


def test_a_run_that_crashed_before_its_first_checkpoint_starts_again(images, whole_tokenizer, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(Crash):
        train_one(images, run, Stopping(1, crash))
    train_one(images, run, resume=True)
    assert_same_run(run, whole_tokenizer)


def test_a_transformer_run_that_crashed_goes_on_identically(
    images, whole_tokenizer, tokens, whole_transformer, tmp_path
):
    arguments = (images, whole_tokenizer, tokens, tmp_path / "run")
    with pytest.raises(Crash):
        train_two(*arguments, Stopping(5, crash))
    torch.manual_seed(123)  # whatever happened before
    train_two(*arguments, resume=True)
    assert_same_run(tmp_path / "run", whole_transformer)


def test_workers_change_nothing(images, whole_tokenizer, tmp_path):
    train_one(images, tmp_path / "run", **{"train.tokenizer.workers": 2})
    assert_same_run(tmp_path / "run", whole_tokenizer)


@pytest.mark.parametrize(
    ("number", "error", "code"), [(signal.SIGINT, KeyboardInterrupt, None), (signal.SIGTERM, SystemExit, 143)]
)
def test_signals_save_and_stop(images, whole_tokenizer, tmp_path, number, error, code):
    before = signal.getsignal(number)
    reporter = Stopping(3, lambda: os.kill(os.getpid(), number))
    with pytest.raises(error) as caught:
        train_one(images, tmp_path / "run", reporter)
    assert getattr(caught.value, "code", None) == code
    assert reporter.events[-1] == "stopped after step 3, which is saved; --resume goes on"
    assert signal.getsignal(number) is before
    reporter = Quiet()
    train_one(images, tmp_path / "run", reporter, resume=True)
    assert reporter.steps == [4, 5, 6]
    assert_same_run(tmp_path / "run", whole_tokenizer)


def test_a_second_signal_stops_at_once(images, tmp_path):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_one(images, tmp_path / "run", Stopping(3, twice))
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000002"]


KILLED = """
import sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from pathlib import Path
from test_resume import train_two
train_two(*map(Path, {arguments!r}), **{settings!r})
"""


def test_sigkill_at_some_moment(images, whole_tokenizer, tokens, tmp_path):
    """Saving at every step takes most of the time, so that the kill mostly falls into it."""
    steps = 12
    settings = {"train.transformer.steps": steps, "train.transformer.save_every": 1}
    arguments = (images, whole_tokenizer, tokens, tmp_path / "killed")
    code = KILLED.format(
        tests=str(Path(__file__).parent), arguments=[str(path) for path in arguments], settings=settings
    )
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root), str(root / "registry"), str(root / "plugins"), str(root / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    metrics = tmp_path / "killed" / "metrics.jsonl"
    for _ in count():
        assert process.poll() is None
        if metrics.exists() and len(metrics.read_text().splitlines()) >= 4:
            break
        time.sleep(0.02)
    time.sleep(0.07)
    process.kill()
    assert process.wait() == -signal.SIGKILL

    train_two(*arguments, resume=True, **settings)
    train_two(*arguments[:3], tmp_path / "whole", **settings)
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


def test_a_finished_run_says_so(images, whole_tokenizer):
    before = find(whole_tokenizer)
    reporter = Quiet()
    train_one(images, whole_tokenizer, reporter, resume=True)
    assert reporter.events == [
        "resumed after step 6 of 6",
        "nothing is left to do; more train.tokenizer.steps would go on",
    ]
    assert find(whole_tokenizer) == before


def damage_truncated(folder):
    [path] = folder.glob("*.distcp")
    path.write_bytes(path.read_bytes()[:1000])


def damage_metadata(folder):
    (folder / ".metadata").unlink()


def damage_garbage(folder):
    (folder / ".metadata").write_bytes(b"garbage")


def damage_one_bit(folder):
    [path] = folder.glob("*.distcp")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def damage_checksums(folder):
    (folder / "sha256.json").unlink()


def damage_all(folder):
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    "damage",
    [damage_truncated, damage_metadata, damage_garbage, damage_one_bit, damage_checksums, damage_all],
)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(images, whole_tokenizer, run, damage):
    damage(run / "checkpoints" / "step-00000004")
    reporter = Quiet()
    train_one(images, run, reporter, resume=True)
    assert "step-00000004 is damaged" in reporter.events[0]
    assert "trying the one before" in reporter.events[0]
    assert reporter.events[1] == "resumed after step 2 of 6"
    assert_same_run(run, whole_tokenizer)


def test_nothing_but_damaged_checkpoints(images, run):
    for path in (run / "checkpoints").iterdir():
        damage_truncated(path)
    with pytest.raises(VartkError, match=r"every checkpoint in .* is damaged"):
        train_one(images, run, resume=True)
    assert len(list((run / "checkpoints").iterdir())) == 2


def test_a_checkpoint_of_another_configuration(images, run):
    before = find(run)
    with pytest.raises(
        VartkError, match=r"does not fit this configuration: .*the settings that the run began"
    ):
        train_one(images, run, resume=True, **{"tokenizer.blocks": 2})
    assert find(run) == before


def test_keep(images, tmp_path):
    (tmp_path / ".run.partial").mkdir()  # another start was killed while it made the folder
    train_one(images, tmp_path / "run", **{"train.tokenizer.keep": 1})
    names = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert names == ["step-00000006"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_while_saving(images, whole_tokenizer, run, tmp_path, capsys):
    """The old checkpoint and the model survive, and the run goes on when there is room again."""
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(plain(tiny_config(images, **SETTINGS))))
    before = {**find(run / "checkpoints"), **find(run / "model")}
    with full_disk(200_000):
        code = main(["train", "tokenizer", str(config), "--out", str(run), "--resume"])
    assert code == 2
    message = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vartk:")]
    assert len(message) == 1
    assert "step-00000006 could not be written: File too large" in message[0]
    assert {**find(run / "checkpoints"), **find(run / "model")} == before
    assert main(["train", "tokenizer", str(config), "--out", str(run), "--resume"]) == 0
    assert_same_run(run, whole_tokenizer)


def test_more_steps_on_resuming_are_noted(whole_tokenizer, tmp_path):
    run = shutil.copytree(whole_tokenizer, tmp_path / "run")

    def resumed(*overrides):
        layers = [*load_layers(str(run), plugins()), parse_overrides(overrides)]
        composed = compose(Config, layers, plugins())
        reporter = Quiet()
        train_tokenizer(composed, run, reporter=reporter, device="cpu", resume=True)
        return reporter

    assert resumed("train.tokenizer.steps=8").steps == [7, 8]
    assert yaml.safe_load((run / "config.yaml").read_text())["train"]["tokenizer"]["steps"] == 8
    sources = json.loads((run / "sources.json").read_text())
    assert sources["train.tokenizer.steps"] == "command line"
    assert sources["train.tokenizer.ema"] == "test"
    assert sources["classes"] == "dataset folder"
    assert resumed().steps == []
    assert [line["step"] for line in Run(run).metrics() if "loss" in line] == list(range(1, 9))


def test_a_kill_in_the_middle_of_writing(images, whole_tokenizer, run):
    aside = run / "checkpoints" / ".step-00000005.partial"
    aside.mkdir()
    (aside / "__0_0.distcp").write_text("half")
    (run / ".metrics.jsonl.partial").write_text("half")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    train_one(images, run, resume=True)
    assert_same_run(run, whole_tokenizer)


def test_resuming_what_is_no_run(images, tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(plain(tiny_config(images))))
    assert main(["train", "tokenizer", str(config), "--out", str(tmp_path / "none"), "--resume"]) == 2
    assert "is not a run that could be resumed; leave --resume out" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
