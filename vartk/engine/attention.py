"""Chooses an attention backend for each request, and keeps its plans."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch

from vartk_registry import MaskSpec, MissingRequirement, Registry, Unsupported
from vartk_registry.interfaces import AttentionBackend, AttentionRequest

from ..config import AUTO, Slot

log = logging.getLogger(__name__)

PRIORITY = ("flash", "xformers", "flex", "sdpa", "eager")
"""The order in which `auto` tries the backends that are registered."""


@dataclass(slots=True)
class Attention:
    """Attention by the named backends, the first that can serve a request; an `Attend`.

    Args:
        backends: by name, in the order of preference.
        absent: why others, which would have been preferred, could not even be built.
    """

    backends: Mapping[str, AttentionBackend]
    absent: Mapping[str, str] = field(default_factory=dict)
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
        refusals = {name: [reason] for name, reason in self.absent.items()}
        for name, backend in self.backends.items():
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
    """Build the named backend, or for `auto` all that are registered, in the order of `PRIORITY`.

    Raises:
        MissingRequirement: the named backend's library is not installed; `auto` passes it over.
    """
    if slot.name != AUTO:
        return Attention({slot.name: registry.build("attention", slot.name, slot.params)})
    backends, absent = {}, {}
    for name in PRIORITY:
        if name in registry.names("attention"):
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
