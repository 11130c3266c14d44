"""Modules without weights, built in no time: the weights come from a file, or are not wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_FILLS = (Tensor.normal_, Tensor.uniform_, Tensor.mul_, Tensor.div_)


@contextmanager
def weightless() -> Iterator[None]:
    """Build modules on the meta device, where parameters have shapes and no data."""
    with torch.device("meta"), _Uninitialised():
        yield


class _Uninitialised(TorchFunctionMode):
    """Skips initial values: without data they change nothing, yet they import torch's compiler (1-3 s)."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"]
        if func in _FILLS:
            return args[0]
        return func(*args, **kwargs)
