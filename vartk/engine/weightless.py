"""Modules without weights: built in no time, on the meta device, to be given weights from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_RANDOM = (torch.Tensor.normal_, torch.Tensor.uniform_)


@contextmanager
def weightless() -> Iterator[None]:
    """Build modules on the meta device, where parameters have shapes and no data."""
    with torch.device("meta"), _Uninitialised():
        yield


class _Uninitialised(TorchFunctionMode):
    """Skips initial values: on the meta device they would be none, yet import the compiler (a second)."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init" or func in _RANDOM:
            return kwargs.get("tensor", args[0] if args else None)
        return func(*args, **kwargs)
