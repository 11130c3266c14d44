"""Seconds and memory of sampling, by precision, attention backend and batch, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from typing import Any

import torch

from vartk_registry import VartkError

from ...engine.device import as_device
from ...engine.model import Model
from ...hub import local_model
from ..memory import MEANING, Failed, peak_memory
from ..model import read_model
from ..psnr import psnr
from ..scales import scale_sums
from ..timing import Progress, finish, in_turns, spread
from .draws import Listening

COMPILED = "+compile"
"""The end of a precision's name that has the blocks compiled."""

PLAIN = "plain"
"""The precision that the others are compared with: the model's layers as they are."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to sample.

    Args:
        precision: its name, with `COMPILED` at the end where blocks are compiled.
        attention: the backend's name.
        batch: images at once.
    """

    precision: str
    attention: str
    batch: int

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of `Model.stream`."""
        name = self.precision.removesuffix(COMPILED)
        return {"precision": name, "compile": name != self.precision, "attention": self.attention}


class Runner:
    """Samples in one way, on a model's weights.

    Attributes:
        stages: the seconds of each step, and at last of the decoder, of every call.
    """

    def __init__(self, way: Way, model: Model) -> None:
        self.way = way
        # another model on the same modules, so that each way keeps its own copies
        self.model = Listening(model.config, model.tokenizer, model.schedule, model.predictor, model.plugins)
        choices = range(len(model.classes)) or ["a picture"]
        self.labels = [choices[index % len(choices)] for index in range(way.batch)]
        self.stages: list[list[float]] = []
        self._draws: list[Callable[[], object]] = []

    def __call__(self) -> None:
        """Sample a batch."""
        marks = [time.perf_counter()]
        for state in self.model.stream(self.labels, **self.way.settings):
            last = state
            finish(self.model.device)
            marks.append(time.perf_counter())
        _ = last.images
        finish(self.model.device)
        marks.append(time.perf_counter())
        self.stages.append([after - before for before, after in pairwise(marks)])

    def codes(self) -> list[torch.Tensor]:
        """Return the codes of each step."""
        return [state.codes for state in self.model.stream(self.labels, **self.way.settings)]

    def beside(self, codes: Sequence[torch.Tensor]) -> tuple[float, torch.Tensor]:
        """Return the share of codes that are drawn alike after the same coarser scales, and the images.

        A code that differs would change all that follow, so that the codes given take its place.
        """
        equal = []
        self.model.heard = self._draws = []
        # a recording would not call the sampler
        states = self.model.stream(self.labels, **self.way.settings, record="never")
        for state, expected in zip(states, codes, strict=True):
            equal.append((state.codes == expected).flatten())
            state.vectors = self.model.tokenizer.embed(expected)
        self.model.heard = None
        return torch.cat(equal).float().mean().item(), state.images

    def draw(self) -> None:
        """Filter the logits of the last call of `beside` again, and draw their codes."""
        for draw in self._draws:
            draw()

    def forget_draws(self) -> None:
        """Free the logits that `draw` needs."""
        self._draws = []


def bench_sampling(
    name: str,
    overrides: Sequence[str],
    *,
    precisions: Sequence[str],
    backends: Sequence[str],
    batches: Sequence[int],
    repeats: int,
    device: str,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> dict[str, Any]:
    """Measure every combination, and return the numbers, ready for JSON.

    Each way's codes and images are first compared with those of the first way of its batch; then the ways
    of a batch are timed in turns. A way that cannot run here has a reason instead of numbers.

    Args:
        name: a preset or a YAML file, for random weights; or a model's folder, for its own.
        overrides: `key=value` settings of the configuration.
        precisions: names, perhaps with `COMPILED`; the first one is what the others are compared with.
        progress: called with what is done, the total, and what was done last.

    Raises:
        VartkError: no such model or device; or the first way cannot run here.
    """
    where = as_device(device)
    counted = Progress(progress, len(batches) * len(precisions) * len(backends) * (repeats + 2))
    model = read_model(name, overrides).to(where)
    rows = []
    for batch in batches:
        ways = [Way(p, b, batch) for p, b in product(precisions, backends)]
        rows += _bench_batch(ways, model, name, overrides, repeats, where, counted)
    parameters = [sum(p.numel() for p in module.parameters()) for module in model.modules()]
    return {
        "benchmark": "sample",
        "model": name,
        "weights": "random" if local_model(name) is None else "the model's own",
        "repeats": repeats,
        "device": str(where),
        "threads": torch.get_num_threads(),
        "matmul": torch.get_float32_matmul_precision(),
        "parameters": dict(zip(("tokenizer", "transformer"), parameters, strict=True)),
        "schedule": [list(grid) for grid in model.schedule.grids],
        "memory": f"{MEANING[where.type]}, in two batches",
        "rows": rows,
    }


def _bench_batch(
    ways: Sequence[Way],
    model: Model,
    name: str,
    overrides: Sequence[str],
    repeats: int,
    device: torch.device,
    counted: Progress,
) -> list[dict[str, Any]]:
    """Return the rows of the ways with one batch size."""
    memory, refused = {}, {}
    for way in ways:
        try:
            memory[way] = peak_memory(device, sample_twice, name, overrides, way, str(device))
        except Failed as error:
            if way is ways[0]:
                raise VartkError(f"{way.precision} with {way.attention} cannot run here: {error}") from error
            refused[way] = str(error)
        counted.add(f"memory of {way.precision}, batch {way.batch}", 1 + (way in refused) * (repeats + 1))
    runners = {way: Runner(way, model) for way in ways if way in memory}
    first = runners[ways[0]]
    codes = first.codes()
    expected = first.beside(codes)[1]
    agreement, draws = {}, {}
    for way, runner in runners.items():
        alike, images = runner.beside(codes)
        agreement[way] = alike, psnr(images, expected)
        runner.draw()  # to warm up
        (seconds,) = in_turns({"": runner.draw}, repeats, device, lambda name: None).values()
        draws[way] = spread(seconds).median / way.batch
        runner.forget_draws()
        counted.add(f"warm-up of {way.precision}, batch {way.batch}")
    names = {f"{way.precision}, {way.attention}": way for way in runners}
    in_turns(
        {text: runners[way] for text, way in names.items()},
        repeats,
        device,
        lambda text: counted.add(f"time of {text}, batch {ways[0].batch}"),
    )
    rows = []
    plain = _seconds(first).median
    for way in ways:
        row = {**asdict(way)}
        if way in refused:
            rows.append({**row, "refused": refused[way]})
            continue
        runner, seconds = runners[way], _seconds(runners[way])
        each = [spread(stage).median / way.batch for stage in zip(*runner.stages, strict=True)]
        alike, decibel = agreement[way]
        rows.append(
            {
                **row,
                "seconds_per_image": asdict(seconds),
                "speedup": plain / seconds.median,
                "transformer_seconds": sum(each[:-1]),
                "draw_seconds": draws[way],
                "decoder_seconds": each[-1],
                "scale_seconds": scale_sums(each[:-1], model.schedule),
                "peak_memory_bytes": memory[way],
                "codes_alike": alike,
                "psnr": decibel,
            }
        )
    return rows


def _seconds(runner: Runner) -> Any:
    return spread([sum(stages) / runner.way.batch for stages in runner.stages])


def sample_twice(name: str, overrides: Sequence[str], way: Way, device: str) -> None:
    """Sample in one way, from the beginning: the memory of this is measured."""
    runner = Runner(way, read_model(name, overrides).to(device))
    runner()
    runner()
