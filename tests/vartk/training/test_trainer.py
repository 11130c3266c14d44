"""One step of training at a time: accumulation, skipped steps, precision, compilation."""

import copy
import json
import math

import pytest
import torch
from tiny import Crash, Crashing, Quiet, images_folder, tiny_composed
from tiny_stages import Line, tokenizer_stage, transformer_stage

from vartk.engine.recipes import train_tokenizer
from vartk.engine.training import Run, train
from vartk.engine.training.trainer import Trainer
from vartk_registry import VartkError

CPU = torch.device("cpu")
OVERFLOW = {"train.tokenizer.precision": "fp16", "train.tokenizer.l2": 100, "train.tokenizer.steps": 8}
"""The first gradients, scaled by 2^16, do not fit into fp16."""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


def stepped(stage):
    """The numbers, gradients and weights of the first step that is not skipped."""
    trainer, batch = Trainer(stage, CPU), next(iter(stage.batches(0, CPU)))
    outcome, tries = trainer.update(1, batch), 1
    while not outcome.finite:
        assert tries < 10
        outcome, tries = trainer.update(1, batch), tries + 1
    gradients = {name: p.grad.clone() for name, p in trainer.module.named_parameters() if p.grad is not None}
    return outcome.values, gradients, copy.deepcopy(trainer.module.state_dict())


@pytest.mark.parametrize("make", [tokenizer_stage, transformer_stage])
def test_accumulation_is_the_batch_at_once(images, make):
    whole, gradients, _ = stepped(make(images, batch=8))
    parts, added, _ = stepped(make(images, batch=8, accumulate=2))
    assert parts.keys() == whole.keys()
    for name, value in whole.items():
        assert float(parts[name]) == pytest.approx(float(value), rel=1e-4), name
    assert added.keys() == gradients.keys()
    largest = max(gradient.abs().max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(added[name], gradient, rtol=1e-4, atol=1e-5 * largest)


def test_a_batch_that_cannot_be_split(images, tmp_path):
    composed = tiny_composed(images, **{"train.tokenizer.batch": 8, "train.tokenizer.accumulate": 3})
    with pytest.raises(VartkError, match=r"tokenizer.batch=8 cannot be split .*accumulate=3.*batch=9"):
        train_tokenizer(composed, tmp_path / "run", reporter=Quiet(), device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e30])  # the last squares to infinity
def test_a_step_that_is_not_finite_changes_nothing(bad):
    stage = Line([1, bad, 1], lr=0.1, ema=0.5)
    trainer = Trainer(stage, CPU)
    weights = []
    for step, batch in enumerate(stage.batches(0, CPU), 1):
        outcome = trainer.update(step, batch)
        moments = trainer.optimizer.state[stage.module.weight]
        state = {name: tensor.clone() for name, tensor in moments.items()}
        weights.append((stage.weight, trainer.shown.weight.item(), state))
        assert bool(outcome.finite) is math.isfinite(outcome.values["grad_norm"]) is (step != 2)
    assert weights[0] == weights[1]
    assert weights[2][:2] < weights[1][:2]
    assert weights[2][2]["step"] == 2


def trained(stage, folder, resume=False):
    reporter = Quiet()
    train(stage, tiny_composed(), folder, reporter=reporter, device=CPU, resume=resume)
    return reporter


def test_skipped_steps_are_counted_in_the_metrics(tmp_path):
    batches = [1, math.nan, math.nan, 1, 1, math.inf, 1, 1]
    settings = {"lr": 0.1, "log_every": 100, "save_every": 2, "keep": 9, "preview_every": 100}
    reporter = trained(Line(batches, **settings), tmp_path / "run")
    lines = Run(tmp_path / "run").metrics()
    assert [(line["step"], line.get("skipped")) for line in lines] == [
        (1, None),
        (2, 1),
        (3, 2),
        (6, 3),
        (8, 3),
    ]
    assert [line["loss"] for line in lines[1:4]] == [None] * 3
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert all(json.loads(line, parse_constant=pytest.fail) for line in text.splitlines())
    told = [event for event in reporter.events if "is skipped" in event]
    assert told == [
        f"step {step} is skipped: the loss is {loss} and its gradient {loss}"
        for step, loss in ((2, "nan"), (3, "nan"), (6, "inf"))
    ]
    # no checkpoint is made in the middle of skipped steps, but soon after
    saved = [path.name for path in sorted((tmp_path / "run" / "checkpoints").iterdir())]
    assert saved == [f"step-{step:08d}" for step in (4, 7, 8)]


def test_too_many_skipped_steps_end_the_run(tmp_path):
    batches = [1, math.nan, 1, 1, *[math.nan] * 9]
    stage = Line(batches, lr=0.1, save_every=1, keep=2, max_skipped=3)
    with pytest.raises(VartkError) as error:
        trained(stage, tmp_path / "run")
    assert str(error.value) == (
        "step 7: the loss is nan and its gradient nan; 3 steps in a row had to be skipped; the last good "
        "checkpoint is step-00000004: --resume goes on from it, with a lower train.tokenizer.lr, now 0.1"
    )
    with pytest.raises(VartkError, match=r"step 7: .*is step-00000004"):
        trained(Line(batches, lr=0.1, save_every=1, keep=2, max_skipped=3), tmp_path / "run", resume=True)
    with pytest.raises(VartkError, match=r"step 1: .*; 1 step in a row .*no checkpoint yet: start again"):
        trained(Line([math.nan], max_skipped=1), tmp_path / "none")


def test_weights_that_no_gradient_reaches_do_not_stop_a_run_from_going_on(images, tmp_path):
    """Of four phis, three scales leave one unused."""
    for steps, resume in ((2, False), (4, True)):
        composed = tiny_composed(images, **{"tokenizer.phi": 4, "train.tokenizer.steps": steps})
        train_tokenizer(composed, tmp_path / "run", reporter=Quiet(), device="cpu", resume=resume)
    assert [line["step"] for line in Run(tmp_path / "run").metrics() if "loss" in line] == [1, 2, 3, 4]


def test_a_resumed_run_counts_on(images, tmp_path):
    """The gradient scaler is too high at first; it is taken up as it was, with the count."""

    def run(name, reporter, resume=False):
        composed = tiny_composed(images, **OVERFLOW, **{"train.tokenizer.save_every": 1})
        train_tokenizer(composed, tmp_path / name, reporter=reporter, device="cpu", resume=resume)

    run("whole", Quiet())
    with pytest.raises(Crash):
        run("crashed", Crashing(7))
    resumed = Quiet()
    run("crashed", resumed, resume=True)
    assert resumed.steps[0] > 1
    lines, expected = (Run(tmp_path / name).metrics() for name in ("crashed", "whole"))
    assert lines == expected
    skipped = [line.get("skipped", 0) for line in lines if "loss" in line]
    assert 0 < skipped[-1] < 8
    assert skipped == sorted(skipped)


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 2e-2), ("fp16", 4e-3)])
@pytest.mark.parametrize("make", [tokenizer_stage, transformer_stage])
def test_low_precision_is_close(images, make, precision, tolerance):
    """Gradients are unscaled before they are clipped: their norm is that of float32."""
    exact, _, _ = stepped(make(images))
    values, gradients, weights = stepped(make(images, precision=precision))
    assert float(values["loss"]) == pytest.approx(float(exact["loss"]), rel=tolerance)
    assert float(values["grad_norm"]) == pytest.approx(float(exact["grad_norm"]), rel=5 * tolerance)
    assert all(tensor.dtype == torch.float32 for tensor in gradients.values())
    assert all(tensor.dtype != torch.float16 for tensor in weights.values())
