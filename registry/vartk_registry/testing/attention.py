"""The check of attention backends, and the computation they are held against.

Legend: B batch, S and T query and key tokens, H heads, D head dim.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ..errors import Unsupported
from ..interfaces import AttentionBackend, AttentionRequest, Schedule
from ..masks import MaskSpec
from .rules import require, require_close

_BATCH, _HEADS, _HEAD_DIM = 2, 2, 16
_SCALE = 0.6  # neither 1 nor 1/sqrt(_HEAD_DIM), so that a scale which is ignored shows
_SCHEDULE = Schedule.of((1, 2, (2, 3)))
_MASKS = {
    "every query sees every key": MaskSpec.full(5, 5),
    "more keys than queries": MaskSpec.full(3, 7),
    "more queries than keys": MaskSpec.full(7, 3),
    "scale-causal": MaskSpec.scale_causal(_SCHEDULE),
    "causal": MaskSpec.scale_causal(Schedule(((2, 3),), raster=True)),
    "one step of sampling": MaskSpec.step(_SCHEDULE, 1),
    "scale-causal with a prefix": MaskSpec.scale_causal(_SCHEDULE).prefixed(3),
    "gaps between the keys": MaskSpec((2, 3), (((0, 2), (4, 7)), ((1, 3),)), 8),
    "neighbourhoods": MaskSpec.scale_causal(Schedule.of((1, 3, (4, 5))), context=1, neighbourhood=3),
    "whole sequences side by side": MaskSpec.block_diagonal([MaskSpec.full(3, 5), MaskSpec.full(4, 2)]),
    "two schedules side by side": MaskSpec.block_diagonal(
        [MaskSpec.scale_causal(_SCHEDULE), MaskSpec.scale_causal(Schedule.of(((2, 1), 3)))]
    ),
}
TOLERANCES: Mapping[str, float] = {"float32": 1e-4, "float16": 5e-3, "bfloat16": 4e-2}
"""By dtype, the largest difference to the dense computation in float32, of outputs and gradients.

It is relative to the largest value that is expected, or absolute where that is below 1. For float32 it
leaves room for another order of the sums, but not for TF32; for the others for five units in the last
place, as kernels round the weights, and sums of gradients, to the dtype.
"""


def dense_attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    mask: MaskSpec,
    scale: float,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Compute attention with the whole mask in float32: an `Attend` for checks, without dropout."""
    if dropout:
        raise ValueError("dense_attend has no dropout; check models in evaluation mode")
    scores_BHST = torch.einsum("bshd,bthd->bhst", q.float(), k.float()) * scale
    hidden_ST = ~mask.dense(q.device)
    weights_BHST = scores_BHST.masked_fill(hidden_ST, -torch.inf).softmax(dim=-1)
    return torch.einsum("bhst,bthd->bshd", weights_BHST, v.float()).to(q.dtype)


def check_attention(
    backend: AttentionBackend, device: str = "cpu", tolerances: Mapping[str, float] = TOLERANCES
) -> None:
    """Check a backend on several masks and dtypes: outputs, gradients and dropout.

    What `unsupported` refuses is left out. A backend that is coarser by design, with quantised scores,
    say, states its own `tolerances` in its own test.

    Raises:
        Unsupported: the backend cannot run here, or refused everything, so nothing was checked.
    """
    if reason := backend.unavailable():
        raise Unsupported(f"attention backend not checked: {reason}")
    refusals: set[str] = set()
    served = 0
    for dtype, tolerance in tolerances.items():
        for name, mask in _MASKS.items():
            for needs_grad in (False, True):
                request = AttentionRequest(mask, _HEADS, _HEAD_DIM, dtype, device, needs_grad)
                if reasons := _refused(backend, request) or _refused_late(backend, request):
                    refusals.update(reasons)
                else:
                    _check_served(backend, request, name, tolerance)
                    served += 1
    if not served:
        reasons_given = "; ".join(sorted(refusals))
        raise Unsupported(f"attention backend not checked: it refuses all on {device}: {reasons_given}")
    for dtype in tolerances:
        _check_dropout(backend, device, dtype)


def _refused(backend: AttentionBackend, request: AttentionRequest) -> list[str]:
    reasons = backend.unsupported(request)
    require(
        isinstance(reasons, list) and all(isinstance(reason, str) for reason in reasons),
        f"unsupported must return a list of sentences, not {reasons!r}",
    )
    return reasons


def _refused_late(backend: AttentionBackend, request: AttentionRequest) -> list[str]:
    """Return why a backend that takes masks by their segments cannot take one of neighbourhoods."""
    if request.mask.near is not None:
        try:
            backend.prepare(request)
        except Unsupported as error:
            return [str(error)]
    return []


def _check_served(backend: AttentionBackend, request: AttentionRequest, name: str, tolerance: float) -> None:
    where = f"attention ({name}, {request.dtype})"
    q, k, v, weight = _inputs(request)
    plan = backend.prepare(request)
    with torch.set_grad_enabled(request.needs_grad):
        out = backend(q, k, v, scale=_SCALE, plan=plan, dropout=0.0)
        expected = dense_attend(q, k, v, mask=request.mask, scale=_SCALE)
    rule = f"{where} must equal softmax(scale q k^T + mask) v"
    require_close(rule, out, expected, tolerance)
    require(out.dtype == q.dtype, f"{where} must return {q.dtype} as q has, not {out.dtype}")
    again = backend(q, k, v, scale=_SCALE, plan=plan, dropout=0.0)
    require_close(f"{where} must give the same again with the same plan", again, out, tolerance)
    if request.needs_grad:
        actual = torch.autograd.grad(out, (q, k, v), weight)
        correct = torch.autograd.grad(expected, (q, k, v), weight)
        for letter, grad, wanted in zip("qkv", actual, correct, strict=True):
            rule = f"the gradient of {letter} in {where} must be that of the dense computation"
            require_close(rule, grad, wanted, tolerance)


def _inputs(request: AttentionRequest) -> list[torch.Tensor]:
    """Return q, k, v and a gradient of the output, as views of longer buffers like a cache's."""
    generator = torch.Generator().manual_seed(0)
    tensors = []
    for length in (
        request.mask.q_len,
        request.mask.kv_len,
        request.mask.kv_len,
        request.mask.q_len,
    ):
        buffer = torch.randn(_BATCH, length + 2, _HEADS, _HEAD_DIM, generator=generator)
        buffer = buffer.to(request.device, getattr(torch, request.dtype))
        tensors.append(buffer[:, :length].requires_grad_(request.needs_grad))
    return tensors


def _check_dropout(backend: AttentionBackend, device: str, dtype: str) -> None:
    mask = MaskSpec.full(5, 5)
    request = AttentionRequest(mask, _HEADS, _HEAD_DIM, dtype, device, True, dropout=0.5)
    if not _refused(backend, request):
        q, k, v, _ = _inputs(request)
        dropped = backend(q, k, v, scale=_SCALE, plan=backend.prepare(request), dropout=0.5)
        undropped = dense_attend(q, k, v, mask=mask, scale=_SCALE)
        require(
            (dropped - undropped).abs().max().item() > 0.1,
            "dropout must be applied, or the request be refused by unsupported",
        )
