"""Reads PyTorch files safely, and says what is wrong with them."""

from __future__ import annotations

import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

MARKS = {
    "VAR tokenizer (VQVAE)": "quantize.embedding.weight",
    "VAR transformer": "pos_start",
}
"""An entry that only this kind of state dict has."""

_HEADS = (b"PK", b"\x80")
"""How PyTorch's files begin: as zip archives, or before release 1.6 as pickles."""


@dataclass(frozen=True, slots=True)
class State:
    """A file's weights under the original's names."""

    path: Path
    tensors: dict[str, torch.Tensor]

    def shape(self, name: str, dims: int) -> list[int]:
        """Return the shape of an entry; `VartkError` where it is missing or has not `dims` dimensions."""
        if name not in self.tensors:
            raise VartkError(f"{self.path} lacks {name}")
        shape = list(self.tensors[name].shape)
        if len(shape) != dims:
            raise VartkError(f"{self.path} has {name} as {shape}, which should have {dims} dimensions")
        return shape

    def count(self, pattern: str) -> int:
        """Return how many indices from 0 the names have that a pattern with one group finds."""
        found = (re.fullmatch(pattern, name) for name in self.tensors)
        return 1 + max((int(match[1]) for match in found if match), default=-1)


def read_state(path: Path, what: str, nested: str) -> State:
    """Return the weights in a file, bare or under ['trainer'][nested] of a training checkpoint.

    Large files are mapped and not copied into memory.

    Args:
        what: a kind of state dict, one of `MARKS`.

    Raises:
        VartkError: the file is missing, truncated, unsafe, or of another kind.
    """
    content = _load(path)
    if isinstance(content, dict) and isinstance(content.get("trainer"), dict):
        tensors = content["trainer"].get(nested)
    else:
        tensors = content
    if not _is_state(tensors):
        raise VartkError(
            f"{path} holds no state dict, neither bare nor under ['trainer'][{nested!r}]; "
            f"it holds {_described(content)}"
        )
    if MARKS[what] not in tensors:
        others = [other for other, mark in MARKS.items() if mark in tensors]
        found = (
            f"it is a {others[0]}; are the two files swapped?"
            if others
            else f"it holds {_described(tensors)}"
        )
        raise VartkError(f"{path} is not a {what}, which has {MARKS[what]!r}: {found}")
    return State(path, tensors)


def _load(path: Path) -> Any:
    if not path.is_file():
        raise VartkError(f"there is no file {path}")
    try:
        with path.open("rb") as file:
            head = file.read(2)
        if not head.startswith(_HEADS):
            raise VartkError(
                f"{path} is no PyTorch file: it begins with {head!r}" if head else f"{path} is empty"
            )
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        unsafe = re.search(r"GLOBAL (\S+)", str(error))
        if unsafe is None:
            raise VartkError(f"{path} is damaged or no PyTorch file") from error
        raise VartkError(
            f"{path} is not read, for it holds more than tensors ({unsafe[1]}), which could run any code; "
            "save its state dict alone"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise VartkError(f"{path} is truncated or no PyTorch file: {reason}") from error


def _is_state(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(k, str) and torch.is_tensor(v) for k, v in content.items())
    )


def _described(content: Any) -> str:
    if isinstance(content, dict):
        return f"a mapping with {', '.join(map(repr, list(content)[:5])) or 'nothing'}"
    return f"a {type(content).__name__}"
