"""Chooses an attention backend for each request, and keeps its plans."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch

from vartk_registry import MaskSpec, MissingRequirement, Registry, Unsupported
from vartk_registry.interfaces import AttentionBackend, AttentionRequest
from vartk_registry.masks import Span
from vartk_registry.neighbourhoods import Neighbourhood

from ..config import AUTO, Slot

log = logging.getLogger(__name__)

PRIORITY: Mapping[str, Sequence[str]] = {"cuda": ("flash", "xformers", "sdpa", "eager")}
"""The order in which `auto` tries the backends that are registered, by type of device.

flash comes first: one launch for any mask, and kernels newer than torch's own. xformers has torch's, but
masks in one launch where no gradient is needed. flex compiles for seconds for each new shape, and each
step of sampling has one.
"""
TRAINING: Mapping[str, Sequence[str]] = {"cuda": ("flash", "flex", "sdpa", "eager")}
"""The same for masked calls with gradients, whose shape does not change from step to step.

flex takes a mask in one launch and skips the blocks that it hides; compiled with the model it is also the
fastest. xformers would need a launch for each segment.
"""
ELSEWHERE: Sequence[str] = ("matmul", "sdpa", "eager")
"""The same for devices that the others do not name: other backends serve none of them, or slowly."""


@dataclass(slots=True)
class Attention:
    """Attention by the named backend, or by the first that can serve a request; an `Attend`.

    Args:
        backends: by name.
        absent: why others could not even be built, by name.
        name: the one to use; empty to try them in the order of `PRIORITY` or `TRAINING`.
    """

    backends: Mapping[str, AttentionBackend]
    absent: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    _plans: dict[AttentionRequest, tuple[AttentionBackend, Any]] = field(default_factory=dict)
    _traced: SimpleNamespace = field(default_factory=SimpleNamespace)

    def __call__(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        *,
        mask: MaskSpec,
        scale: float,
        dropout: float = 0.0,
    ) -> torch.Tensor:
        """Return softmax(scale q k^T + mask) v for q [B, S, H, D], k and v [B, T, H, D]."""
        rest = (
            q.shape[2],
            q.shape[3],
            str(q.dtype).removeprefix("torch."),
            q.device.type,
            torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)),
            dropout,
        )
        if torch.compiler.is_compiling():
            near = mask.near and (mask.near.size, mask.near.q_grids, mask.near.kv_grids)
            name = self._name(mask.q_lens, mask.kv_spans, mask.kv_len, near, *rest)
            backend, plan = getattr(self._traced, name)
        else:
            backend, plan = self._planned(AttentionRequest(mask, *rest))
        return backend(q, k, v, scale=scale, plan=plan, dropout=dropout)

    def choose(self, request: AttentionRequest) -> AttentionBackend:
        """Return the first backend that can serve the request.

        Raises:
            Unsupported: none can; the message holds the request and every backend's reasons.
        """
        refusals: dict[str, list[str]] = {}
        for name in [self.name] if self.name else _order(request):
            if name in self.absent:
                refusals[name] = [self.absent[name]]
            elif backend := self.backends.get(name):
                unavailable = backend.unavailable()
                reasons = [unavailable] if unavailable else backend.unsupported(request)
                if not reasons:
                    if refusals:
                        _report(name, _lines(refusals))
                    return backend
                refusals[name] = reasons
        raise Unsupported(
            f"no attention backend can serve {request.dtype} on {request.device}, "
            f"{request.heads} heads of {request.head_dim}, {request.mask.q_len} x "
            f"{request.mask.kv_len} tokens, gradients {request.needs_grad}, dropout {request.dropout}: "
            f"{_lines(refusals)}"
        )

    def _planned(self, request: AttentionRequest) -> tuple[AttentionBackend, Any]:
        """Return the backend for a request and its plan, made once."""
        if request not in self._plans:
            backend = self.choose(request)
            self._plans[request] = backend, backend.prepare(request)
        return self._plans[request]

    def _name(
        self,
        q_lens: tuple[int, ...],
        kv_spans: tuple[tuple[Span, ...], ...],
        kv_len: int,
        near: tuple[Any, ...] | None,
        *rest: Any,
    ) -> str:
        """Return the attribute of `_traced` that holds a request's backend and plan.

        torch's compiler calls this while it traces, and takes the result for a constant. So backends choose
        and plan as they do elsewhere, and none of it is traced. Arguments and result must be plain values.
        """
        mask = MaskSpec(q_lens, kv_spans, kv_len, near and Neighbourhood(*near))
        request = AttentionRequest(mask, *rest)
        # models can share compiled code, which looks for this name: it must mean the same request in each
        name = f"plan_{hashlib.sha256(repr(request).encode()).hexdigest()}"
        setattr(self._traced, name, self._planned(request))
        return name


# as `torch.compiler.assume_constant_result` does, which imports the compiler for seconds
Attention._name._dynamo_marked_constant = True  # type: ignore[attr-defined]


def build_attention(slot: Slot, registry: Registry) -> Attention:
    """Build the named backend, or for `auto` all that it may choose.

    Raises:
        MissingRequirement: the named backend's library is not installed; `auto` passes it over.
    """
    if slot.name != AUTO:
        backend = registry.build("attention", slot.name, slot.params)
        return Attention({slot.name: backend}, name=slot.name)
    backends, absent = {}, {}
    candidates = {*ELSEWHERE}.union(*PRIORITY.values(), *TRAINING.values())
    for name in sorted(candidates.intersection(registry.names("attention"))):
        try:
            backends[name] = registry.build("attention", name, {})
        except MissingRequirement as error:
            absent[name] = str(error)
    return Attention(backends, absent)


def _order(request: AttentionRequest) -> Sequence[str]:
    trained = request.needs_grad and not request.mask.is_full
    return (TRAINING if trained else PRIORITY).get(request.device, ELSEWHERE)


@cache
def _report(name: str, refusals: str) -> None:
    """Log a choice once a process, not for every image."""
    log.info("attention: %s serves; passed over %s", name, refusals)


def _lines(refusals: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{name} ({', '.join(reasons)})" for name, reasons in refusals.items())
