"""Checkpoints that hold code: it never runs, whatever the checksums say."""

import io
import json
import os
import pickle

import pytest
import torch
from torch import nn

from vartk.engine.distributed import World
from vartk.engine.training import checkpoint
from vartk_registry import VartkError


class Evil:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


class Value:
    """One value as a part of a run's state."""

    def __init__(self, value):
        self.value = value

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def parts(value):
    module = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    return module, optimizer, {"other": Value(value)}


@checkpoint.one_process_is_enough()
def saved(folder, value=(1, "two", None)):
    checkpoint.write(folder, checkpoint.take(1, *parts(value)), keep=1, world=World())
    return folder / "step-00000001"


@checkpoint.one_process_is_enough()
def resumed(folder):
    module, optimizer, others = parts(None)
    step = checkpoint.resume(folder, module, optimizer, others, pytest.fail, World())
    return step, others["other"].value


def rewritten(step, name, content):
    """Replace a file of a checkpoint, and its checksum with it."""
    (step / name).write_bytes(content)
    (step / checkpoint.CHECKSUMS).write_text(json.dumps(checkpoint._checksums(step)))


def hostile_metadata(folder, target):
    rewritten(saved(folder), ".metadata", pickle.dumps(Evil(target)))


def hostile_part_of_metadata(folder, target):
    step = saved(folder)
    metadata = pickle.loads((step / ".metadata").read_bytes())
    metadata.planner_data = Evil(target)
    rewritten(step, ".metadata", pickle.dumps(metadata))


def hostile_value(folder, target):
    saved(folder, Evil(target))


def hostile_random_state(folder, target):
    content = io.BytesIO()
    torch.save({"torch": Evil(target)}, content)
    rewritten(saved(folder), "random-0.pt", content.getvalue())


@pytest.mark.parametrize(
    ("attack", "what"),
    [
        (hostile_metadata, r"its \.metadata names posix\.mkdir"),
        (hostile_part_of_metadata, r"its \.metadata names posix\.mkdir"),
        (hostile_value, r"its other\.value is neither a tensor nor a plain value"),
        (hostile_random_state, r"its random-0\.pt is neither a tensor nor a plain value"),
    ],
)
def test_code_in_a_checkpoint_never_runs(attack, what, tmp_path):
    attack(tmp_path, tmp_path / "owned")
    message = rf"^checkpoint {tmp_path}/step-00000001 is not loaded: {what}, .*could run any code; remove it"
    with pytest.raises(VartkError, match=message):
        resumed(tmp_path)
    assert not (tmp_path / "owned").exists()


def test_metadata_of_another_kind(tmp_path):
    rewritten(saved(tmp_path), ".metadata", pickle.dumps({"step": 1}))
    with pytest.raises(VartkError, match=r"^checkpoint .* its \.metadata is a dict"):
        resumed(tmp_path)


def test_plain_values_come_back(tmp_path):
    saved(tmp_path)
    assert resumed(tmp_path) == (1, (1, "two", None))
