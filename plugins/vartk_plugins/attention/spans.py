"""The keys that a segment of queries sees."""

from __future__ import annotations

import torch
from torch import Tensor

from vartk_registry.masks import Span


def seen(x: Tensor, spans: tuple[Span, ...], dim: int) -> Tensor:
    """Return the intervals of a tensor's dimension side by side; a view where there is one."""
    parts = [x.narrow(dim, start, stop - start) for start, stop in spans]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=dim)
