"""The backend `flash`: the newest generation of flash-attn that serves a request.

Its kernels take no mask. A mask that shows every key, or is causal, is a plain call, which copies nothing;
any other is one varlen call (see `packing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from vartk_registry.interfaces import AttentionRequest
from vartk_registry.masks import MaskSpec

from .generations import GENERATIONS, refusals
from .packing import Packed, attend_packed, packed


@dataclass(frozen=True, slots=True)
class Plan:
    """The module of a generation, and the mask: as sequences, or None where it is causal or full."""

    kernels: ModuleType
    mask: Packed | None
    causal: bool = False

    @classmethod
    def of(cls, kernels: ModuleType, mask: MaskSpec, device: str) -> Plan:
        """Return the plan of a mask."""
        if mask.is_full or mask.is_causal:
            return cls(kernels, None, causal=not mask.is_full)
        return cls(kernels, packed(mask, device))


class FlashAttention:
    """Chooses a generation for each request: each serves others."""

    def unavailable(self) -> str:
        """Return that there is no CUDA device, or why no generation can be imported."""
        if not torch.cuda.is_available():
            return "torch sees no CUDA device"
        kernels, failures = _installed()
        return "" if kernels else "; ".join(failures)

    def unsupported(self, request: AttentionRequest) -> list[str]:
        """Return what no generation serves, or why each of them does not."""
        if reasons := refusals(request):
            return reasons
        kernels, reasons = _choose(request)
        return [] if kernels else reasons

    def prepare(self, request: AttentionRequest) -> Plan:
        """Choose the generation, and pack the mask."""
        kernels, reasons = _choose(request)
        if kernels is None:
            raise ValueError(f"a request that is not supported cannot be prepared: {reasons}")
        return Plan.of(kernels, request.mask, request.device)

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, scale: float, plan: Plan, dropout: float
    ) -> Tensor:
        """Compute attention; q [B, S, H, D], k and v [B, T, H, D], as q."""
        settings = {"softmax_scale": scale} | ({"dropout_p": dropout} if dropout else {})
        if plan.mask is None:
            return _output(plan.kernels.flash_attn_func(q, k, v, causal=plan.causal, **settings))

        def varlen(*inputs: Tensor, **lengths: Any) -> Tensor:
            return _output(plan.kernels.flash_attn_varlen_func(*inputs, **lengths, **settings))

        return attend_packed(varlen, q, k, v, plan.mask)


@cache
def _installed() -> tuple[dict[str, ModuleType], list[str]]:
    """Return the generations that can be imported, by name, and why others cannot."""
    kernels, failures = {}, []
    for generation in GENERATIONS:
        try:
            module = import_module(generation.module)
            module.flash_attn_varlen_func  # noqa: B018  # flash_attn is there without it where 4 is alone
            kernels[generation.name] = module
        except Exception as error:  # a library made for another torch fails in its own way
            failures.append(f"{generation.name} cannot be imported: {error}")
    return kernels, failures


def _choose(request: AttentionRequest) -> tuple[ModuleType | None, list[str]]:
    """Return the newest generation that serves a request, or None and why each does not."""
    kernels, reasons = _installed()
    reasons = list(reasons)
    for generation in GENERATIONS:
        if generation.name in kernels:
            refused = generation.refusals(request, torch.cuda.get_device_capability())
            if not refused:
                return kernels[generation.name], []
            reasons.append(f"{generation.name}: {', '.join(refused)}")
    return None, reasons


def _output(made: Any) -> Tensor:
    """Return the output alone: some releases add the logarithms of the sums."""
    return made[0] if isinstance(made, tuple) else made
