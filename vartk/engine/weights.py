"""Weights for a module: they must be its own, by name and shape, and finite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from vartk_registry import VartkError


def load_weights(module: nn.Module, tensors: Mapping[str, torch.Tensor], source: Path) -> None:
    """Give a module (on the meta device, say) float32 weights; errors as `check_weights`."""
    check_weights(module, tensors, source)
    single = {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}
    module.load_state_dict(single, assign=True)


def check_weights(
    module: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    source: Path,
    name_of: Callable[[str], str] = str,
) -> None:
    """Check that tensors are a module's weights, and finite.

    Raises:
        VartkError: names, by `name_of`, the keys of `source` that are missing, extra, misshapen or not
            finite.
    """
    own = module.state_dict()
    lacking = [f"lacks {name_of(name)}" for name in own if name not in tensors]
    if problems := lacking + misfits(own, tensors, "the model", name_of):
        raise VartkError(
            f"{source} does not fit the model that its configuration describes: {told(problems)}"
        )
    check_finite(module, tensors, str(source), name_of)


def misfits(
    own: Mapping[str, torch.Tensor],
    tensors: Mapping[str, torch.Tensor],
    whose: str,
    name_of: Callable[[str], str] = str,
) -> list[str]:
    """Return which tensors are not among a module's weights, or of another shape: a predicate for each.

    Args:
        own: the weights, which belong to `whose`.
    """
    extra = [f"has {name_of(name)}, which {whose} does not" for name in tensors if name not in own]
    return extra + [
        f"has {name_of(name)} as {list(tensors[name].shape)}, {whose} as {list(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]


def told(problems: Sequence[str]) -> str:
    """Return the first of some predicates in a sentence, and how many more there are."""
    more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
    return f"it {'; it '.join(problems[:5])}{more}"


def check_finite(
    module: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    source: str,
    name_of: Callable[[str], str] = str,
) -> None:
    """Check that no weight of a module is NaN or infinite; its buffers may be infinite, as masks are.

    Each tensor is read once; where they are on a GPU, the check waits for it once.

    Raises:
        VartkError: names, by `name_of`, the tensors of `source`, and how many values are wrong.
    """
    floats = {name: t for name, t in tensors.items() if t.is_floating_point() and t.numel()}
    if not floats:
        return
    extremes = torch.stack([torch.stack(tensor.float().aminmax()) for tensor in floats.values()])
    suspects = [
        name for name, fine in zip(floats, extremes.isfinite().all(1).tolist(), strict=True) if not fine
    ]
    weights = {name for name, _ in module.named_parameters()}
    counts = {name: _counts(floats[name].float(), infinite=name in weights) for name in suspects}
    wrong = [f"{name_of(name)} ({told})" for name, told in counts.items() if told]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        half = any(floats[name].dtype is torch.float16 for name in suspects)
        overflow = ", or, if they overflowed float16, save them in bfloat16 or float32" if half else ""
        raise VartkError(
            f"{source} has weights that are not finite: {', '.join(wrong[:5])}{more}; take an earlier "
            f"checkpoint of the training run{overflow}"
        )


def _counts(tensor: torch.Tensor, *, infinite: bool) -> str:
    """Return how many values are NaN and, if these matter, infinite; an empty string where none is."""
    found = {"NaN": tensor.isnan().sum().item(), "infinite": tensor.isinf().sum().item() * infinite}
    told = " and ".join(f"{count} {what}" for what, count in found.items() if count)
    return told and f"{told} of {tensor.numel()} values"
