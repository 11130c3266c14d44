"""Records computations as single operations of torch: without a GPU, to prove what can be recorded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, with the tensors that it read and those that it made."""

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    made: tuple[Tensor, ...]

    def replay(self) -> None:
        """Compute again, into the same tensors."""
        results = tree_leaves(self.function(*self.args, **self.kwargs))
        for made, result in zip(self.made, (r for r in results if isinstance(r, Tensor)), strict=True):
            if made is not result:
                made.copy_(result)


class OperationRecorder:
    """A list of operations a part. As with a graph, Python runs while a part is recorded, and never again."""

    def __init__(self) -> None:
        self._parts: list[list[Operation]] = []

    def record(self, work: Callable[[], T]) -> T:
        """Record a part; see `Recorder`."""
        recording = _Recording()
        with recording:
            result = work()
        self._parts.append(recording.operations)
        return result

    def turn(self) -> AbstractContextManager[None]:
        """Return an empty context: a processor computes in order."""
        return nullcontext()

    def replay(self, part: int) -> None:
        """Compute a part again."""
        for operation in self._parts[part]:
            operation.replay()

    def nbytes(self) -> int:
        """Return the bytes of all that the operations made."""
        made = [t for part in self._parts for operation in part for t in operation.made if _storage(t)]
        return sum({_storage(t): t.untyped_storage().nbytes() for t in made}.values())


class _Recording(TorchDispatchMode):
    """Writes down the operations that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if reason := _refusal(function, args):
            raise RuntimeError(f"{function} {reason}")
        result = function(*args, **kwargs)
        made = tuple(leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        read = {_storage(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)} - {0}
        views = all(_storage(tensor) in read for tensor in made)
        # a view of memory that is filled anew needs no computing; what changes its input does
        if function._schema.is_mutable or not views:
            self.operations.append(Operation(function, args, kwargs, made))
        return result


def _refusal(function: Any, args: Any) -> str:
    """Return why a CUDA graph cannot hold an operation; empty if it can."""
    tags, arguments = function.tags, {argument.name for argument in function._schema.arguments}
    by_mask = "indices" in arguments and any(
        isinstance(index, Tensor) and index.dtype is torch.bool for index in tree_leaves(args[1:])
    )
    if torch.Tag.data_dependent_output in tags:
        return "waits for the device"
    # indices that are integers give a shape that is known
    if by_mask or (torch.Tag.dynamic_output_shape in tags and "indices" not in arguments):
        return "gives a shape that depends on the data"
    # a single number becomes a part of its operation
    if function is torch.ops.aten.lift_fresh.default and args[0].ndim:
        return "makes a tensor of Python's numbers, which a GPU waits for"
    # attention has this tag for its dropout, which is off
    if torch.Tag.nondeterministic_seeded in tags and "dropout_p" not in arguments:
        return "draws from a generator, which no recording may do"
    return ""


def _storage(tensor: Tensor) -> int:
    """Return where a tensor's numbers are; 0 if it has none that can be seen, as packed weights."""
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided else 0
