"""Seconds and memory of a training step of the second stage, in several ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from vartk_registry import VartkError

from ...components import plugins
from ...config import Config
from ...engine.build import grid
from ...engine.device import as_device
from ...engine.folder import new_model
from ...engine.training import TransformerStage
from ...engine.training.trainer import Trainer
from ..attention.peak import matmul_peak
from ..flops.count import count_forward
from ..memory import MEANING, Failed, peak_memory
from ..model import draw_weights
from ..timing import Progress, in_turns, spread
from .rows import PLAIN, Row

TOLERANCE = {"fp32": 1e-4, "bf16": 1e-2}
"""How far a row's losses and gradient norm may be from those of `plain`, relatively, by its precision."""


class Runner:
    """Does steps of a row: the engine's own, on random images, classes and weights.

    Args:
        like: another row's runner, with which it shares weights, gradients and optimizer.
        encode: whether the codes made beforehand are those of the images; else they are random.
    """

    def __init__(
        self,
        row: Row,
        config: Config,
        device: torch.device,
        like: Runner | None = None,
        *,
        encode: bool = True,
    ) -> None:
        torch.manual_seed(0)
        self.row = row
        self.model = new_model(config, plugins())
        tokenizer, predictor = self.model.modules()
        tokenizer.eval().requires_grad_(False)
        if like is None:
            draw_weights(predictor)
        else:
            for own, its in zip(self.model.modules(), like.model.modules(), strict=True):
                own.load_state_dict(its.state_dict(keep_vars=True), assign=True)
        self.model.to(device)
        self.stage = TransformerStage(config, self.model, {}, plugins().registry)
        self.trainer = Trainer(self.stage, device)
        if like is not None:
            self.trainer.optimizer = like.trainer.optimizer
        generator = torch.Generator().manual_seed(0)
        batch, size = config.train.transformer.batch, grid(config.image_size)
        self.images = torch.rand(batch, 3, *size, generator=generator).mul(2).sub(1).to(device)
        self.conditions = _conditions(predictor.conditioner, batch).to(device)
        self.codes = self.encoded() if encode else self._random_codes(generator).to(device)

    def encoded(self) -> torch.Tensor:
        """Return the codes [B, L, *shape] of the images."""
        return torch.cat(self.model.encode(self.images), dim=1)

    def _random_codes(self, generator: torch.Generator) -> torch.Tensor:
        space = self.model.tokenizer.space
        size = (len(self.images), self.model.schedule.total, *space.shape)
        return torch.randint(space.classes, size, generator=generator)

    def step(self) -> dict[str, Any]:
        """Do one step of training, and return its numbers."""
        codes = self.encoded() if self.row.encodes else self.codes
        return self.trainer.update(1, (codes, self.conditions)).values

    def numbers(self) -> dict[str, float]:
        """Return the losses and the gradient's norm of a step in which nothing is dropped."""
        torch.manual_seed(0)
        self.trainer.module.eval()
        values = self.step()
        self.trainer.module.train()
        return {name: float(v) for name, v in values.items() if name.startswith(("loss", "grad"))}


def bench_training(
    rows: Sequence[Row],
    configs: Mapping[str, Config],
    *,
    repeats: int,
    device: str,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> dict[str, Any]:
    """Measure each row, `plain` among them, and return the numbers, ready for JSON.

    Each is first done alone, for its memory; then those that are alike are compared with `plain`, and all
    are timed in turns. A row that cannot run here has a reason instead of numbers.

    Args:
        configs: by the row's name.
        progress: called with what is done, the total, and what was done last.

    Raises:
        VartkError: `plain` cannot run here, or a row does not compute what it computes.
    """
    where = as_device(device)
    counted = Progress(progress, len(rows) * (repeats + 2))
    memory, refused = _memory(rows, configs, where, counted)
    counted.add("", len(refused) * (repeats + 1))
    runners: dict[str, Runner] = {}
    losses = {}
    for row in (row for row in rows if row.name not in refused):
        runner = Runner(row, configs[row.name], where, runners.get(PLAIN.name))
        runners[row.name] = runner
        losses[row.name] = runner.numbers()
        precision = configs[row.name].train.transformer.precision
        if row.alike:
            check_agreement(row.name, losses[row.name], losses[PLAIN.name], TOLERANCE[precision])
        runner.step()  # the first one in training mode compiles, and fills caches
        counted.add(f"warm-up of {row.name}")
    steps = {name: runner.step for name, runner in runners.items()}
    measured = in_turns(steps, repeats, where, lambda name: counted.add(f"time of {name}"))
    plain = runners[PLAIN.name]
    peak = matmul_peak(torch.bfloat16, where)
    tokens = plain.model.schedule.total
    # a backward pass has the products of two forward passes
    flops = {row.name: 3 * count_forward(configs[row.name]) for row in rows if row is PLAIN or not row.alike}
    batch = len(plain.images)
    times = {name: spread([s / batch for s in seconds]) for name, seconds in measured.items()}
    found = {
        name: {
            "seconds_per_image": asdict(times[name]),
            "tokens_per_second": tokens / times[name].median,
            "flops_per_image": flops.get(name, flops[PLAIN.name]),
            "mfu": flops.get(name, flops[PLAIN.name]) / times[name].median / peak,
            "speedup": times[PLAIN.name].median / times[name].median,
            "peak_memory_bytes": memory[name],
            "loss": losses[name]["loss"],
        }
        for name in runners
    }
    return {
        "benchmark": "train",
        "batch": batch,
        "repeats": repeats,
        "device": str(where),
        "threads": torch.get_num_threads(),
        "matmul": torch.get_float32_matmul_precision(),
        "parameters": sum(parameter.numel() for parameter in plain.stage.module.parameters()),
        "tokens": tokens,
        "peak_flops": peak,
        "memory": f"{MEANING[where.type]}, in two steps of the row",
        "rows": [
            {"row": row.name, "what": row.summary, **found.get(row.name, {"refused": refused.get(row.name)})}
            for row in rows
        ],
    }


def _memory(
    rows: Sequence[Row], configs: Mapping[str, Config], device: torch.device, counted: Progress
) -> tuple[dict[str, int], dict[str, str]]:
    """Return the peak memory of the rows that run here, and of the others the reason why they do not."""
    memory, refused = {}, {}
    for row in rows:
        try:
            memory[row.name] = peak_memory(device, two_steps, row, configs[row.name], device)
        except Failed as error:
            if row is PLAIN:
                raise VartkError(f"row {row.name!r} cannot run here: {error}") from error
            refused[row.name] = str(error)
        counted.add(f"memory of {row.name}")
    return memory, refused


def two_steps(row: Row, config: Config, device: torch.device) -> None:
    """Do a row's first two steps, and encode images only if it does: the memory of both is measured."""
    runner = Runner(row, config, device, encode=row.encodes)
    runner.step()
    runner.step()


def check_agreement(
    name: str, numbers: Mapping[str, float], expected: Mapping[str, float], tolerance: float
) -> None:
    """Raise `VartkError` where a number is not finite, or differs by more than `tolerance`, relatively."""
    wrong = [
        f"{key} is {numbers[key]:.6g} and not {value:.6g}"
        for key, value in expected.items()
        if not abs(numbers[key] - value) <= tolerance * abs(value)
    ]
    if wrong:
        raise VartkError(
            f"row {name!r} does not compute what 'plain' does, to a relative {tolerance:g}: "
            f"{'; '.join(wrong)}; nothing was timed"
        )


def _conditions(conditioner: Any, batch: int) -> torch.Tensor:
    """Return the conditions of some classes or captions."""
    if conditioner.takes == "label":
        return conditioner.parse([index % len(conditioner.choices) for index in range(batch)])
    return conditioner.parse(["a picture"] * batch)
