"""Chooses an attention backend for each request, and keeps its plans."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch

from vartk_registry import MaskSpec, MissingRequirement, Registry, Unsupported
from vartk_registry.interfaces import AttentionBackend, AttentionRequest

from ..config import AUTO, Slot

log = logging.getLogger(__name__)

PRIORITY: Mapping[str, Sequence[str]] = {"cuda": ("flash", "xformers", "sdpa", "eager")}
"""The order in which `auto` tries the backends that are registered, by type of device.

flash comes first: one launch for any mask, and kernels newer than torch's own. xformers has torch's, but
masks in one launch where no gradient is needed. flex, which compiles for seconds whenever a shape is new,
is left to those who ask for it.
"""
ELSEWHERE: Sequence[str] = ("matmul", "sdpa", "eager")
"""The same for the devices that `PRIORITY` does not name: the others serve none of them, or slowly."""


@dataclass(slots=True)
class Attention:
    """Attention by the named backend, or by the first that can serve a request; an `Attend`.

    Args:
        backends: by name.
        absent: why others could not even be built, by name.
        name: the one to use; empty to try them in the order of `PRIORITY`.
    """

    backends: Mapping[str, AttentionBackend]
    absent: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    _plans: dict[AttentionRequest, tuple[AttentionBackend, Any]] = field(default_factory=dict)

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
        request = AttentionRequest(
            mask=mask,
            heads=q.shape[2],
            head_dim=q.shape[3],
            dtype=str(q.dtype).removeprefix("torch."),
            device=q.device.type,
            needs_grad=torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)),
            dropout=dropout,
        )
        if request not in self._plans:
            backend = self.choose(request)
            self._plans[request] = backend, backend.prepare(request)
        backend, plan = self._plans[request]
        return backend(q, k, v, scale=scale, plan=plan, dropout=dropout)

    def choose(self, request: AttentionRequest) -> AttentionBackend:
        """Return the first backend that can serve the request.

        Raises:
            Unsupported: none can; the message holds the request and every backend's reasons.
        """
        refusals: dict[str, list[str]] = {}
        for name in [self.name] if self.name else PRIORITY.get(request.device, ELSEWHERE):
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


def build_attention(slot: Slot, registry: Registry) -> Attention:
    """Build the named backend, or for `auto` all that `PRIORITY` may call for.

    Raises:
        MissingRequirement: the named backend's library is not installed; `auto` passes it over.
    """
    if slot.name != AUTO:
        backend = registry.build("attention", slot.name, slot.params)
        return Attention({slot.name: backend}, name=slot.name)
    backends, absent = {}, {}
    for name in sorted({*ELSEWHERE}.union(*PRIORITY.values()).intersection(registry.names("attention"))):
        try:
            backends[name] = registry.build("attention", name, {})
        except MissingRequirement as error:
            absent[name] = str(error)
    return Attention(backends, absent)


@cache
def _report(name: str, refusals: str) -> None:
    """Log a choice once a process, not for every image."""
    log.info("attention: %s serves; passed over %s", name, refusals)


def _lines(refusals: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{name} ({', '.join(reasons)})" for name, reasons in refusals.items())
