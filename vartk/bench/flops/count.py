"""Floating-point operations of a whole model, counted by fvcore's formulas, with no data and no computing.

fvcore traces real tensors. Here a model without weights runs on the meta device, and each operation is
handed to fvcore's handles as its trace would hand it. Attention is decomposed there into the two batched
products that fvcore knows, where its trace would show it no more than `scaled_dot_product_attention`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vartk_registry import MaskSpec
from vartk_registry.interfaces import Attend, Draw

from ...components import plugins
from ...config import ModelConfig, Slot
from ...engine.attention import build_attention
from ...engine.build import grid
from ...engine.cache import build_cache
from ...engine.canvas import Canvas
from ...engine.diversity import build_diversity
from ...engine.folder import new_model
from ...engine.generate import Recipe, generate
from ...engine.generators.folder import weightless_generator
from ...engine.model import Model
from ...engine.randomness import randomness
from ...engine.scale import ScaleState
from ...engine.weightless import weightless
from ..scales import scale_sums

ATTENTION = Slot(name="sdpa")
"""The backend that is counted: a call without a mask for each scale, so that masked pairs do not count."""

UNGUIDED = Slot(name="linear", params={"scale": 0.0})

KINDS = ("linear", "convolution", "attention")
"""What is counted: products of matrices, convolutions, and batched products, which attention and projections
along the tokens (`fastervar`) alone have."""

Handle = Callable[[Sequence[Any], Sequence[Any]], float]
"""Returns the multiply-adds of an operation, from its inputs and outputs."""


def count_flops(config: ModelConfig) -> dict[str, Any]:
    """Return the parameters and the floating-point operations of a model for one image, ready for JSON.

    A multiply-add is two operations. Norms, activations, resizing and draws are not counted.

    Raises:
        VartkError: the configuration's parts do not fit each other.
    """
    with weightless():
        model = new_model(config, plugins())
    tokenizer, predictor = (module.eval() for module in model.modules())
    schedule, guidance = model.schedule, config.sampling.guidance
    image = torch.empty(1, 3, *grid(config.image_size), device="meta")
    latent = torch.empty(1, tokenizer.channels, *schedule.latent, device="meta")
    conditions = predictor.conditioner.null(1).to("meta")
    counting = Counting(_handles())
    attend = _counted_attention(counting)
    generated = build_cache(config.sampling.cache, plugins().registry).steps(schedule)
    works = {
        "encode": lambda: tokenizer.encode(image, schedule.scales),
        "decode": lambda: tokenizer.decode(latent),
        "forward": partial(_forward, model, attend),
    }
    with _on(counting):
        parts = [{"part": name, **counting.of(work)} for name, work in works.items()]
        scales: list[dict[str, Any]] = [{"grid": [h, w], "tokens": h * w} for h, w in schedule.grids]
        for name, slot in (("guided", guidance), ("unguided", UNGUIDED)):
            states = _sampling(model, slot, conditions, attend)
            steps = [counting.of(partial(_next, states)) for _ in range(generated)]
            steps += [dict.fromkeys((*KINDS, "total"), 0)] * (len(schedule) - generated)
            sums = {key: scale_sums([step[key] for step in steps], schedule) for key in (*KINDS, "total")}
            for index, scale in enumerate(scales):
                scale[name] = {key: counts[index] for key, counts in sums.items()}
            parts.append({"part": name, **{key: sum(counts) for key, counts in sums.items()}})
    return {
        "benchmark": "flops",
        "parameters": {
            "tokenizer": _parameters(tokenizer),
            "transformer": _parameters(predictor.transformer),
            "conditioner": _parameters(predictor.conditioner),
        },
        "parts": parts,
        "scales": scales,
        "uncounted": dict(counting.unknown),
    }


def count_forward(config: ModelConfig, stage: str) -> int:
    """Return the floating-point operations for one image of the forward pass in a stage of training.

    Args:
        stage: "transformer", teacher-forced; "tokenizer", image to image; or "generator", without the
            encoder of its tokenizer, as the transformer's has none.
    """
    if stage == "generator":
        return _count_generator(config)
    with weightless():
        model = new_model(config, plugins())
    tokenizer, _ = (module.eval() for module in model.modules())
    image = torch.empty(1, 3, *grid(config.image_size), device="meta")
    counting = Counting(_handles())
    works = {
        "transformer": partial(_forward, model, _counted_attention(counting)),
        "tokenizer": partial(tokenizer, image, model.schedule.scales),
    }
    with _on(counting):
        return counting.of(works[stage])["total"]


def _count_generator(config: ModelConfig) -> int:
    model = weightless_generator(config, plugins())
    tokenizer, size = model.tokenizer, grid(config.image_size)
    latent = torch.empty(1, tokenizer.channels, *tokenizer.latent_grid(size), device="meta")
    tokenizer.features = lambda images: latent  # type: ignore[attr-defined]
    conditions = model.parse([0 if model.takes == "label" else "a picture"]).to("meta")
    counting = Counting(_handles())
    with _on(counting):
        work = partial(model.modules()[-1].eval(), torch.empty(1, 3, *size, device="meta"), conditions)
        return counting.of(work)["total"]


def _forward(model: Model, attend: Attend) -> object:
    predictor, schedule = model.predictor, model.schedule
    inputs = torch.empty(1, schedule.total - schedule.sizes[0], model.tokenizer.channels, device="meta")
    conditions = predictor.conditioner.null(1).to("meta")
    return predictor(inputs, conditions, schedule, attend)


def _counted_attention(counting: Counting) -> Attend:
    """Return attention whose operations are those of the pairs that the mask shows."""
    backend = build_attention(ATTENTION, plugins().registry)

    def attend(
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        *,
        mask: MaskSpec,
        scale: float,
        dropout: float = 0.0,
    ) -> torch.Tensor:
        if mask.near is None:
            return backend(q, k, v, mask=mask, scale=scale, dropout=dropout)
        batch, _, heads, head_dim = q.shape  # a dense mask would count what it hides
        counting.add("attention", 4 * head_dim * mask.pairs() * heads * batch)
        return torch.empty_like(q)

    return attend


def _next(states: Iterator[ScaleState]) -> Canvas:
    """Generate a step, and add it to the image made so far."""
    return next(states).after


def _sampling(model: Model, guidance: Slot, conditions: torch.Tensor, attend: Attend) -> Iterator[ScaleState]:
    """Return a generation of one image, whatever codes are drawn, by the engine's own loop."""

    def draw(logits: torch.Tensor, *_: Any) -> Draw:
        return Draw(torch.zeros(logits.shape[:-1], dtype=torch.int64, device=logits.device))

    registry, sampling, predictor = plugins().registry, model.config.sampling, model.predictor
    recipe = Recipe(
        schedule=model.schedule,
        guidance=registry.build("guidance", guidance.name, guidance.params),
        sampler=draw,
        cache=build_cache(sampling.cache, registry),
        attend=attend,
        random=randomness("per_image", [0], model.schedule, (), "meta"),
        diversity=build_diversity(sampling.diversity),
    )
    condition = predictor.conditioner(conditions)
    yield from generate(model.tokenizer, predictor.transformer, condition, condition, recipe)


def _parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as fvcore's handles want it: one of a trace."""

    value: Any

    def isCompleteTensor(self) -> bool:
        return isinstance(self.value, torch.Tensor)

    def type(self) -> _Value:
        return self

    def sizes(self) -> list[int]:
        return list(self.value.shape)


class Counting(TorchDispatchMode):
    """Counts floating-point operations by kind (see `KINDS`).

    Attributes:
        unknown: operations that are no part of torch, which may hide products, and how often they were
            called.
    """

    def __init__(self, handles: Mapping[str, tuple[str, Handle]]) -> None:
        super().__init__()
        self._handles = handles
        self._counts: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count it."""
        out = func(*args, **(kwargs or {}))
        if func.name().partition("::")[0] not in ("aten", "prim"):
            self.unknown[func.name()] += 1
        kind, handle = self._handles.get(func._schema.name, ("", None))
        if handle is not None:
            self._counts[kind] += 2 * int(handle([_Value(x) for x in args], [_Value(out)]))
        return out

    def add(self, kind: str, operations: int) -> None:
        """Count operations that no single call of torch stands for."""
        self._counts[kind] += operations

    def of(self, work: Callable[[], object]) -> dict[str, int]:
        """Return what some work counts, by kind and in total."""
        self._counts.clear()
        work()
        counts = {kind: self._counts[kind] for kind in KINDS}
        return {**counts, "total": sum(counts.values())}


def _handles() -> dict[str, tuple[str, Handle]]:
    """Return the kind and fvcore's handle of each operation that has multiply-adds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # fvcore scripts its own losses when it is imported
        from fvcore.nn import jit_handles

    def convolution(inputs: Sequence[Any], outputs: Sequence[Any]) -> float:
        x, weight = (value.sizes() for value in inputs[:2])
        return jit_handles.conv_flop_count(x, weight, outputs[0].sizes(), transposed=inputs[6].value)

    return {
        "aten::addmm": ("linear", jit_handles.addmm_flop_jit),
        "aten::mm": ("linear", jit_handles.matmul_flop_jit),
        "aten::bmm": ("attention", jit_handles.bmm_flop_jit),
        "aten::convolution": ("convolution", convolution),
    }


@contextmanager
def _on(counting: Counting) -> Iterator[None]:
    """Count while the block runs; autocast, which does not know the meta device, is out of the way."""
    no_autocast = mock.patch.multiple(
        torch, autocast=lambda *_, **__: nullcontext(), is_autocast_enabled=lambda *_: False
    )
    with torch.no_grad(), no_autocast, counting:
        yield
