"""What the checks have in common: a rule is a condition and the sentence that states it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from ..interfaces import CodeSpace


def require(holds: bool, rule: str) -> None:
    """Raise AssertionError with `rule` unless it holds (and, unlike `assert`, under -O too)."""
    if not holds:
        raise AssertionError(rule)


def require_shape(what: str, tensor: torch.Tensor, shape: Sequence[int]) -> None:
    """Require a tensor of this shape, without numbers that are not finite."""
    require(isinstance(tensor, torch.Tensor), f"{what} must be a tensor, not {type(tensor)}")
    require(
        tensor.shape == tuple(shape),
        f"{what} must have shape {tuple(shape)}, not {tuple(tensor.shape)}",
    )
    require(bool(tensor.isfinite().all()), f"{what} must be finite")


def require_codes(what: str, codes: torch.Tensor, shape: Sequence[int], space: CodeSpace) -> None:
    """Require int64 codes [*shape, *space.shape] in [0, classes)."""
    require_shape(what, codes, (*shape, *space.shape))
    require(codes.dtype == torch.int64, f"{what} must be int64, not {codes.dtype}")
    require(
        bool(((codes >= 0) & (codes < space.classes)).all()),
        f"{what} must lie in [0, {space.classes})",
    )


def require_close(rule: str, actual: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    """Require equality to `tolerance` times the scale of what is expected, or 1 if that is more."""
    require_shape(rule, actual, expected.shape)
    if expected.numel():
        expected = expected.float()
        difference = (actual.float() - expected).abs().max().item()
        allowed = tolerance * max(1.0, expected.abs().max().item())
        require(difference <= allowed, f"{rule}; the largest difference is {difference:.2g}")


def require_module(component: object) -> torch.nn.Module:
    """Return the component, which must be a `torch.nn.Module`."""
    if not isinstance(component, torch.nn.Module):
        raise AssertionError(f"a {type(component).__name__} must be a torch.nn.Module")
    return component


@contextmanager
def mode(component: object, *, training: bool) -> Iterator[None]:
    """Put a module into training or evaluation mode for a while."""
    module = require_module(component)
    before = module.training
    module.train(training)
    try:
        yield
    finally:
        module.train(before)
