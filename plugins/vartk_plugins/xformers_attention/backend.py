"""The backend `xformers`: its kernels, and the form of the mask that one of them serves.

The package may be there without any kernel that can run; each operator says why it cannot.

Legend: B images, S and T query and key tokens of an image, H heads, D head dim.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from vartk_registry.interfaces import AttentionRequest
from vartk_registry.masks import MaskSpec, Span

from .forms import Form, bias, forms


class Kernel(Protocol):
    """Attention of q, k and v [B, tokens, H, D] under a bias of xFormers; returns as q."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, bias: Any) -> Tensor:
        """Compute it."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """The mask's form, the operators (forward and backward), and the biases by size of batch."""

    mask: MaskSpec
    form: Form
    operators: tuple[Any, Any]
    biases: dict[int, Any] = field(default_factory=dict)


class XformersAttention:
    """`xformers.ops.memory_efficient_attention`, with the operators chosen once a request."""

    def unavailable(self) -> str:
        """Return that there is no CUDA device, which all kernels need."""
        return "" if torch.cuda.is_available() else "torch sees no CUDA device"

    def unsupported(self, request: AttentionRequest) -> list[str]:
        """Return why each operator refuses the request."""
        if request.device != "cuda":
            return [f"it serves cuda, not {request.device}"]
        if request.mask.near is not None:
            return ["it takes no mask of neighbourhoods"]
        plan, reasons = choose(request)
        return [] if plan else reasons

    def prepare(self, request: AttentionRequest) -> Plan:
        """Choose the form and the operators."""
        plan, reasons = choose(request)
        if plan is None:
            raise ValueError(f"a request that is not supported cannot be prepared: {reasons}")
        return plan

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, scale: float, plan: Plan, dropout: float
    ) -> Tensor:
        """Compute attention; q [B, S, H, D], k and v [B, T, H, D], as q."""
        from xformers.ops import memory_efficient_attention

        def kernel(q: Tensor, k: Tensor, v: Tensor, bias: Any) -> Tensor:
            return memory_efficient_attention(q, k, v, bias, dropout, scale, op=plan.operators)

        return attend(kernel, q, k, v, plan)


def attend(kernel: Kernel, q_BSHD: Tensor, k_BTHD: Tensor, v_BTHD: Tensor, plan: Plan) -> Tensor:
    """Compute attention with the plan's calls of a kernel."""
    if plan.form is Form.WHOLE:
        return kernel(q_BSHD, k_BTHD, v_BTHD, None)
    if plan.form is Form.CAUSAL:
        return kernel(q_BSHD, k_BTHD, v_BTHD, bias(plan.mask, plan.form, q_BSHD.device))
    if plan.form is Form.CALLS:
        outs = [
            kernel(q_BSHD[:, rows], _seen(k_BTHD, spans), _seen(v_BTHD, spans), None)
            for rows, spans in plan.mask.segments()
        ]
        return torch.cat(outs, dim=1)
    batch = len(q_BSHD)
    if batch not in plan.biases:
        side_by_side = MaskSpec.block_diagonal([plan.mask] * batch)
        plan.biases[batch] = bias(side_by_side, plan.form, q_BSHD.device)
    as_one = (x.flatten(0, 1)[None] for x in (q_BSHD, k_BTHD, v_BTHD))
    return kernel(*as_one, plan.biases[batch])[0].unflatten(0, (batch, -1))


def choose(request: AttentionRequest) -> tuple[Plan | None, list[str]]:
    """Return the first form that an operator serves, or None and why each operator does not."""
    from xformers.ops import fmha

    mask = request.mask
    reasons: list[str] = []
    for form in forms(mask, request.needs_grad):
        q, k = (
            torch.empty(
                (1, length, request.heads, request.head_dim),
                dtype=getattr(torch, request.dtype),
                device=request.device,
            )
            for length in (mask.q_len, mask.kv_len)
        )
        given = bias(mask, form, q.device) if form not in (Form.WHOLE, Form.CALLS) else None
        inputs = fmha.Inputs(q, k, k, given, request.dropout, scale=1.0)
        reasons = []
        for family in (fmha.flash3, fmha.flash, fmha.cutlass):
            refused = family.FwOp.not_supported_reasons(inputs)
            if request.needs_grad:
                refused += family.BwOp.not_supported_reasons(inputs)
            if not refused:
                return Plan(mask, form, (family.FwOp, family.BwOp)), []
            reasons.append(f"{family.FwOp.NAME}: {', '.join(dict.fromkeys(refused))}")
    return None, reasons


def _seen(x_BTHD: Tensor, spans: tuple[Span, ...]) -> Tensor:
    parts = [x_BTHD[:, start:stop] for start, stop in spans]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
