"""Checkpoints that are written while training goes on."""

import threading

import pytest
import torch
from torch import nn

from vartk import VartkError
from vartk.engine.distributed import World
from vartk.engine.training import checkpoint
from vartk.engine.training.writer import Writer


@checkpoint.one_process_is_enough()
def test_a_snapshot_keeps_what_the_next_steps_change(tmp_path):
    module = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)

    def step():
        module(torch.ones(1, 2)).sum().backward()
        optimizer.step()

    step()
    kept = checkpoint.take(1, module, optimizer, {}).copied()
    weight, moment = module.weight.detach().clone(), optimizer.state[module.weight]["exp_avg"].clone()
    random = torch.get_rng_state()
    step()
    torch.rand(1)
    checkpoint.write(tmp_path, kept, keep=1, world=World())
    assert checkpoint.resume(tmp_path, module, optimizer, {}, pytest.fail, World()) == 1
    assert torch.equal(module.weight, weight)
    assert torch.equal(optimizer.state[module.weight]["exp_avg"], moment)
    assert torch.equal(torch.get_rng_state(), random)


def test_a_job_runs_beside_its_starter_and_is_done_at_the_end():
    go, done = threading.Event(), []

    def job():
        go.wait(10)
        done.append("first")

    with Writer() as writer:
        writer.start(job)
        assert not writer.failed
        assert not done
        go.set()
        writer.start(lambda: done.append("second"))
    assert done == ["first", "second"]


def fails():
    raise VartkError("the disk is full")


def uses(writer, action):
    with writer:
        writer.start(fails)
        action()


def test_the_error_of_a_job_reaches_the_training():
    writer = Writer()
    with pytest.raises(VartkError, match="disk is full"):
        uses(writer, lambda: writer.start(lambda: None))
    writer = Writer()
    with pytest.raises(VartkError, match="disk is full"):
        uses(writer, writer.wait)
    assert not writer.failed  # its error has been told
    with pytest.raises(VartkError, match="disk is full"):
        uses(Writer(), lambda: None)


def test_an_error_of_the_training_comes_first():
    with pytest.raises(ZeroDivisionError):
        uses(Writer(), lambda: 1 / 0)
