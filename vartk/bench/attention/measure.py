"""Seconds, FLOP/s and memory of attention backends, each checked against the oracle first.

Legend: B batch, S and T query and key tokens, H heads, D head dim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vartk_registry import MaskSpec, MissingRequirement, Registry, VartkError
from vartk_registry.interfaces import AttentionBackend
from vartk_registry.testing import TOLERANCES

from ...components import plugins
from ...engine.device import as_device
from ..memory import Failed, peak_memory
from ..timing import Progress, in_turns, spread
from .peak import matmul_peak, memory_bandwidth
from .workload import DTYPES, Case

ORACLE = "eager"
"""The backend that the others are held against, in float32."""

BACKWARD = 2.5
"""The matrix products of a backward pass, in forward passes.

A fused kernel computes the scores again, and with the gradients of weights, q, k and v that makes five
products where the forward pass has two. Published numbers count so too (FlashAttention-2, arXiv
2307.08691, section 4.1); a backend that keeps its weights does four, and looks faster than it is.
"""

_SCORES_AT_ONCE = 2**26
"""How many scores the oracle holds at a time: 256 MiB of float32."""

_TURN = 0.02
"""Seconds that a turn takes at least: short calls are repeated."""


class Calls:
    """Calls of attention for a case, on random tensors; `calls()` does one.

    q and k are normal, and scores have a standard deviation of 3: each query then attends to few keys, so
    that a mask which is wrong shows.
    """

    def __init__(self, backend: AttentionBackend, case: Case, device: torch.device) -> None:
        request = case.request(device.type)
        self.backend = backend
        self.case = case
        self.scale = 3 * case.head_dim**-0.5
        self.plan = backend.prepare(request)
        generator = torch.Generator().manual_seed(0)
        dtype = getattr(torch, request.dtype)
        lengths = (case.mask.q_len, case.tokens, case.tokens, case.mask.q_len)
        q, k, v, grad = (
            torch.randn(case.batch, n, case.heads, case.head_dim, generator=generator).to(device, dtype)
            for n in lengths
        )
        kept = case.mask.kv_len
        self.qkv = tuple(x.requires_grad_(case.backward) for x in (q, k[:, :kept], v[:, :kept]))
        self.grad_BSHD = grad

    def __call__(self) -> list[Tensor]:
        """Return the output [B, S, H, D] and, with backward, the gradients of q, k and v."""
        with torch.set_grad_enabled(self.case.backward):
            out = self.backend(*self.qkv, scale=self.scale, plan=self.plan, dropout=0.0)
        if not self.case.backward:
            return [out]
        return [out.detach(), *torch.autograd.grad(out, self.qkv, self.grad_BSHD)]

    def expected(self, oracle: AttentionBackend) -> list[Tensor]:
        """Return what a call must, by the oracle in float32, some queries at a time."""
        case, device = self.case, self.grad_BSHD.device.type
        q, k, v = (x.detach().float() for x in self.qkv)
        outs, grads_q = [], []
        grad_k, grad_v = torch.zeros_like(k), torch.zeros_like(v)
        rows = max(1, _SCORES_AT_ONCE // (case.batch * case.heads * case.mask.kv_len))
        for segment, spans in case.mask.segments():
            for start in range(segment.start, segment.stop, rows):
                part = slice(start, min(start + rows, segment.stop))
                mask = MaskSpec((part.stop - start,), (spans,), case.mask.kv_len)
                plan = oracle.prepare(replace(case, mask=mask, dtype="fp32").request(device))
                leaves = [x.detach().requires_grad_(case.backward) for x in (q[:, part], k, v)]
                with torch.set_grad_enabled(case.backward):
                    out = oracle(*leaves, scale=self.scale, plan=plan, dropout=0.0)
                outs.append(out.detach())
                if case.backward:
                    grads = torch.autograd.grad(out, leaves, self.grad_BSHD[:, part].float())
                    grads_q.append(grads[0])
                    grad_k += grads[1]
                    grad_v += grads[2]
        out_BSHD = torch.cat(outs, dim=1)
        return [out_BSHD, torch.cat(grads_q, dim=1), grad_k, grad_v] if case.backward else [out_BSHD]


def disagreement(actual: Sequence[Tensor], expected: Sequence[Tensor], dtype: str) -> str:
    """Return what is wrong with a call's results, by the tolerance of a key of `DTYPES`, or nothing.

    Differences are relative to the largest value that is expected.
    """
    allowed = TOLERANCES[DTYPES[dtype]]
    names = ("the output", "the gradient of q", "the gradient of k", "the gradient of v")
    for name, found, wanted in zip(names, actual, expected, strict=False):
        off = ((found.float() - wanted).abs().max() / wanted.abs().max()).item()
        if not off <= allowed:
            return f"{name} is off by {off:.2g} of its largest value, {allowed:g} is allowed"
    return ""


def flops(case: Case) -> float:
    """Return the floating-point operations of a call: products over the pairs that the mask lets through."""
    forward = 4 * case.head_dim * case.mask.pairs() * case.heads * case.batch
    return forward * (1 + BACKWARD * case.backward)


def traffic(case: Case) -> int:
    """Return the bytes of the tensors that a call must read and write, each once a pass."""
    queries, keys = case.mask.q_len, case.mask.kv_len
    rows = 2 * queries + 2 * keys  # q, out, k, v
    if case.backward:
        rows += 4 * queries + 4 * keys  # q, out and their gradients; k, v and theirs
    size = getattr(torch, DTYPES[case.dtype]).itemsize
    return rows * case.batch * case.heads * case.head_dim * size


def bench_attention(
    cases: Sequence[Case],
    backends: Sequence[str],
    *,
    repeats: int,
    device: str,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> dict[str, Any]:
    """Measure every backend on every case, and return the numbers, ready for JSON.

    A backend that refuses a case has its reasons instead of numbers, one that computes something else what
    is wrong; neither is timed. The others of a case are timed in turns.

    Args:
        progress: called with what is done, the total, and what was done last.

    Raises:
        VartkError: no such backend or device.
    """
    where, registry = as_device(device), plugins().registry
    built, absent = _build(backends, registry)
    oracle = registry.build("attention", ORACLE, {})
    counted = Progress(progress, steps(cases, backends, repeats))
    dtypes = list(dict.fromkeys(case.dtype for case in cases))
    before = _peaks(dtypes, where)
    counted.add("the machine's peaks", 1 + len(cases) * len(absent) * (1 + repeats))
    measured = [_measure_case(case, built, oracle, repeats, where, counted) for case in cases]
    # a slow moment at either end must not make the machine look slower than it is
    peaks = {what: max(before[what], found) for what, found in _peaks(dtypes, where).items()}
    bandwidth = peaks.pop("copy")
    counted.add("the machine's peaks once more")
    rows = [
        {"case": _described(case), "backend": name, **_rates(case, peaks, row)}
        for case, found in zip(cases, measured, strict=True)
        for name, row in found.items()
    ]
    return {
        "benchmark": "attention",
        "device": str(where),
        "threads": torch.get_num_threads(),
        "matmul": torch.get_float32_matmul_precision(),
        "repeats": repeats,
        "peak_flops": peaks,
        "bandwidth": bandwidth,
        "absent": absent,
        "rows": rows,
    }


def steps(cases: Sequence[Case], backends: Sequence[str], repeats: int) -> int:
    """Return the total that `bench_attention` tells its progress."""
    return 2 + len(cases) * len(backends) * (1 + repeats)


def _peaks(dtypes: Sequence[str], device: torch.device) -> dict[str, float]:
    """Return the FLOP/s of matrix products by dtype, and the bytes/s of copying as "copy"."""
    found = {dtype: matmul_peak(getattr(torch, DTYPES[dtype]), device) for dtype in dtypes}
    return {**found, "copy": memory_bandwidth(device)}


def _build(names: Sequence[str], registry: Registry) -> tuple[dict[str, AttentionBackend], dict[str, str]]:
    """Return the backends that run here by name, and of the others the reason why they do not."""
    built, absent = {}, {}
    for name in names:
        try:
            backend = registry.build("attention", name, {})
        except MissingRequirement as error:
            absent[name] = str(error)
            continue
        if reason := backend.unavailable():
            absent[name] = reason
        else:
            built[name] = backend
    return built, absent


def _measure_case(
    case: Case,
    built: Mapping[str, AttentionBackend],
    oracle: AttentionBackend,
    repeats: int,
    device: torch.device,
    counted: Progress,
) -> dict[str, dict[str, Any]]:
    """Return the numbers or the refusal of each backend."""
    request = case.request(device.type)
    rows: dict[str, dict[str, Any]] = {}
    for name, backend in built.items():
        if reasons := backend.unsupported(request):
            rows[name] = {"refused": "; ".join(reasons)}
    expected = None
    ready: dict[str, Calls] = {}
    for name, backend in built.items():
        if name not in rows:
            try:
                memory = extra_memory(name, case, device)
                calls = Calls(backend, case, device)
                expected = calls.expected(oracle) if expected is None else expected
                wrong = disagreement(calls(), expected, case.dtype)
            except Exception as error:  # out of memory, a kernel or a compiler that fails
                rows[name] = {"refused": _reason(error)}
            else:
                rows[name] = {"wrong": wrong} if wrong else {"extra_memory_bytes": memory}
                if not wrong:
                    ready[name] = calls
        counted.add(f"check of {name}, {case}")
    del expected
    seconds = _seconds(ready, repeats, device, lambda name: counted.add(f"time of {name}, {case}"))
    counted.add("", (len(built) - len(ready)) * repeats)
    for name, measured in seconds.items():
        rows[name]["seconds"] = asdict(spread(measured))
    return {name: rows[name] for name in built}


def _seconds(
    ready: Mapping[str, Calls], repeats: int, device: torch.device, measured: Callable[[str], None]
) -> dict[str, list[float]]:
    """Return the seconds of a call of each backend, turn by turn; a turn is as many calls as take `_TURN`."""
    warm = in_turns(ready, 1, device, lambda name: None)
    counts = {name: max(1, round(_TURN / once)) for name, (once,) in warm.items()}
    turns = {name: partial(_repeated, calls, counts[name]) for name, calls in ready.items()}
    found = in_turns(turns, repeats, device, measured)
    return {name: [seconds / counts[name] for seconds in found[name]] for name in ready}


def _repeated(calls: Calls, count: int) -> None:
    for _ in range(count):
        calls()


def extra_memory(name: str, case: Case, device: torch.device) -> int:
    """Return the bytes that a call takes beside its inputs: what was held at most with it and without.

    Raises:
        Failed: the call fails, for lack of memory perhaps.
    """
    idle = peak_memory(device, one_call, name, case, device, False)
    return max(0, peak_memory(device, one_call, name, case, device, True) - idle)


def one_call(name: str, case: Case, device: torch.device, real: bool) -> None:
    """Make a case's tensors and do a small call, which loads libraries; then, if `real`, the case's own."""
    backend = plugins().registry.build("attention", name, {})
    calls = Calls(backend, case, device)
    Calls(backend, replace(case, mask=MaskSpec.full(1, 1), tokens=1), device)()
    if real:
        calls()


def _rates(case: Case, peaks: Mapping[str, float], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with what follows from its seconds."""
    if "seconds" not in row:
        return dict(row)
    rate = flops(case) / row["seconds"]["median"]
    return {**row, "flops_per_second": rate, "peak_share": rate / peaks[case.dtype]}


def _described(case: Case) -> dict[str, Any]:
    """Return a case as JSON has it, with what its mask makes of it."""
    described = {
        "name": str(case),
        "workload": case.workload,
        "shape": case.shape,
        "pass": case.what,
        "queries": case.mask.q_len,
        "keys": case.mask.kv_len,
        "pairs": case.mask.pairs(),
    }
    sizes = {name: getattr(case, name) for name in ("heads", "head_dim", "dtype", "batch")}
    return {**described, **sizes, "flops": flops(case), "bytes": traffic(case)}


def _reason(error: Exception) -> str:
    """Return an error in a line."""
    if isinstance(error, Failed | VartkError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")
