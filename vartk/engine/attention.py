"""Chooses an attention backend for each request, and keeps its plans."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from vartk_registry import MaskSpec, Registry, Unsupported
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
    """

    backends: Mapping[str, AttentionBackend]
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
        needs_grad = torch.is_grad_enabled() and (q.requires_grad or k.requires_grad)
        request = AttentionRequest(
            mask=mask,
            heads=q.shape[2],
            head_dim=q.shape[3],
            dtype=str(q.dtype).removeprefix("torch."),
            device=q.device.type,
            needs_grad=needs_grad,
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
        refusals = {}
        for name, backend in self.backends.items():
            reasons = [backend.unavailable()] if backend.unavailable() else backend.unsupported(request)
            if not reasons:
                if refusals:
                    log.info("attention: %s serves the request; passed over %s", name, _lines(refusals))
                return backend
            refusals[name] = reasons
        raise Unsupported(
            f"no attention backend can serve {request.dtype} on {request.device}, "
            f"{request.heads} heads of {request.head_dim}, {request.mask.q_len} x "
            f"{request.mask.kv_len} tokens, gradients {request.needs_grad}, dropout {request.dropout}: "
            f"{_lines(refusals)}"
        )


def build_attention(slot: Slot, registry: Registry) -> Attention:
    """Build the named backend, or for `auto` all that are registered, in the order of `PRIORITY`."""
    names = [name for name in PRIORITY if name in registry.names("attention")]
    if slot.name != AUTO:
        names = [slot.name]
    return Attention({name: registry.build("attention", name, slot.params) for name in names})


def _lines(refusals: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{name} ({', '.join(reasons)})" for name, reasons in refusals.items())
