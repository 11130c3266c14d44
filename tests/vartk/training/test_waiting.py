"""A step of training never waits for its device, and what Python learns late has the right step's number.

Without a GPU: operations that would make one wait are recognised as they are computed.
"""

import math

import pytest
import torch
from tiny import Quiet, images_folder, tiny_composed
from tiny_stages import Line, tokenizer_stage, transformer_stage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vartk.engine.training import Run
from vartk.engine.training.journal import Journal
from vartk.engine.training.trainer import Trainer
from vartk_registry import VartkError

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


class Waits(TorchDispatchMode):
    """Notes the operations whose result Python needs, and tensors that are made of Python's numbers."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        masks = [leaf for leaf in tree_leaves(args[1:]) if getattr(leaf, "dtype", None) is torch.bool]
        by_mask = function in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default) and masks
        of_numbers = function is torch.ops.aten.lift_fresh.default and args[0].ndim
        indexed = function is torch.ops.aten.index.Tensor  # has the tag for the sake of masks
        shaped = torch.Tag.dynamic_output_shape in function.tags and not indexed
        if torch.Tag.data_dependent_output in function.tags or by_mask or of_numbers or shaped:
            self.found.append(str(function))
        return function(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


def test_what_would_make_a_gpu_wait_is_recognised():
    x = torch.tensor([1.0, -1.0])
    for wait in (
        lambda: x[0].item(),
        lambda: bool(x.sum() > 0),
        lambda: x[x > 0],
        lambda: x.nonzero(),
        lambda: torch.tensor([1, 2]),
        lambda: x.unique(),
        lambda: torch.equal(x, x),
    ):
        with Waits() as waits:
            wait()
        assert waits.found
    with Waits() as waits:
        x[torch.ones(2, dtype=torch.int64, device="cpu")], x.isfinite() & True, torch.where(x > 0, x, 0)
    assert not waits.found


STAGES = {
    "transformer": (transformer_stage, {"label_drop": 0.1, "self_correction": 0.3, "ema": 0.9}),
    "transformer in parts": (transformer_stage, {"accumulate": 2, "precision": "bf16"}),
    "transformer, fp16": (transformer_stage, {"precision": "fp16"}),
    "tokenizer": (tokenizer_stage, {"ema": 0.9}),
    "tokenizer that loses scales": (tokenizer_stage, {"scale_dropout": 0.5}),
    "tokenizer with an opponent": (
        tokenizer_stage,
        {"adversarial": {"name": "patch", "layers": 1, "width": 4}, "adversarial_start": 0.0},
    ),
    "tokenizer with a perceptual distance": (tokenizer_stage, {"perceptual": "elite0"}),
}


@pytest.mark.parametrize(("make", "settings"), STAGES.values(), ids=STAGES)
def test_no_step_waits(images, make, settings):
    trainer = Trainer(make(images, **settings), CPU)
    first, second = (batch for batch, _ in zip(trainer.stage.batches(0, CPU), range(2), strict=False))
    trainer.update(1, first)  # makes what is made once
    with Waits() as waits:
        outcome = trainer.update(2, second)
    assert waits.found == []
    assert outcome.finite


def journal(stage, folder, behind):
    """A journal as on a GPU, which learns of a step when the next `behind` have begun."""
    run, reporter = Run(folder), Quiet()
    run.start(tiny_composed())
    made = Journal(stage, Trainer(stage, CPU), run, reporter)
    made.behind = behind
    return made


@pytest.mark.parametrize("behind", [0, 1])
def test_late_news_are_told_in_order_and_of_the_right_step(tmp_path, behind):
    stage = Line([1, math.nan, 1, 1, math.inf, 1, 1], lr=0.1, log_every=4)
    told = journal(stage, tmp_path / "run", behind)
    known = []
    for step, batch in enumerate(stage.batches(0, CPU), 1):
        told.take(told.trainer.update(step, batch), wait=False)
        known.append(told.trainer.skips.total)
    # a step that is logged, here the fourth and the last, is known at once
    assert known == ([0, 1, 1, 1, 2, 2, 2] if behind == 0 else [0, 0, 1, 1, 1, 2, 2])
    lines = [(line["step"], line["loss"] is None, line.get("skipped")) for line in told.run.metrics()]
    assert lines == [(1, False, None), (2, True, 1), (4, False, 1), (5, True, 2), (7, False, 2)]
    assert [event.split(":")[0] for event in told.reporter.events] == [
        "step 2 is skipped",
        "step 5 is skipped",
    ]


def test_late_news_end_a_run_with_the_step_that_went_wrong(tmp_path):
    stage = Line([1, math.nan, math.nan, 1, 1], log_every=9, max_skipped=2)
    told = journal(stage, tmp_path / "run", behind=1)
    steps = iter(enumerate(stage.batches(0, CPU), 1))
    for step, batch in steps:
        if step == 4:
            break
        told.take(told.trainer.update(step, batch), wait=False)
    with pytest.raises(VartkError, match=r"^step 3: the loss is nan .*; 2 steps in a row had to be skipped"):
        told.take(told.trainer.update(4, batch), wait=False)


def test_a_journal_waits_when_it_is_told_to(tmp_path):
    stage = Line([1, math.nan, 1, 1], log_every=9)
    told = journal(stage, tmp_path / "run", behind=1)
    for step, batch in enumerate(stage.batches(0, CPU), 1):
        if step > 2:
            break
        told.take(told.trainer.update(step, batch), wait=step == 2)
    assert told.trainer.skips.in_a_row == 1


@pytest.mark.gpu
@pytest.mark.parametrize("compile", [False, True])
def test_a_gpu_is_not_waited_for(images, compile):
    """By CUDA's own word: it raises an error where Python would wait."""
    device = torch.device("cuda")
    stage = transformer_stage(images, label_drop=0.1, ema=0.9, precision="bf16", compile=compile)
    stage.model.modules()[0].to(device)
    trainer = Trainer(stage, device)
    batches = list(zip(range(1, 5), stage.batches(0, device), strict=False))
    for step, batch in batches[:2]:
        trainer.update(step, batch)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step, batch in batches[2:]:
            outcome = trainer.update(step, batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert bool(outcome.finite)
