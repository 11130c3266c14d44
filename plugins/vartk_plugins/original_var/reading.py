"""Reads files of weights safely, and says what is wrong with them."""

from __future__ import annotations

import argparse
import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.serialization import safe_globals

from vartk_registry import VartkError, require_reachable

_HEADS = (b"PK", b"\x80")
"""How PyTorch's files begin: as zip archives, or before release 1.6 as pickles."""


def read_file(path: Path) -> Any:
    """Return the content of a PyTorch or safetensors file, or of the shards that an index names.

    A folder stands for the one index in it. Large files are mapped and not copied into memory.

    Raises:
        VartkError: the file or a shard is missing, truncated, unsafe, or of another kind.
    """
    require_reachable(path)
    if path.is_dir():
        path = _index_in(path)
    if not path.is_file():
        raise VartkError(f"there is no file {path}")
    head = _head(path)
    return _shards(path) if head[:1] == b"{" and head[8:] != b"{" else _single(path, head)


def _index_in(folder: Path) -> Path:
    indices = list(folder.glob("*.index.json"))
    if len(indices) != 1:
        raise VartkError(f"{folder} is a folder; give a file of weights in it, or its *.index.json")
    return indices[0]


def _single(path: Path, head: bytes) -> Any:
    if head[8:] == b"{":  # after the header's length, which may look like the head of anything
        return _safetensors(path)
    if head.startswith(_HEADS):
        return _pytorch(path)
    found = f"it begins with {head[:2]!r}" if head else "it is empty"
    raise VartkError(f"{path} is neither a PyTorch nor a safetensors file: {found}")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(9)
    except OSError as error:
        raise VartkError(f"{path} cannot be read: {error.strerror}") from error


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise VartkError(f"{path} is truncated or no safetensors file: {error}") from error


def _pytorch(path: Path) -> Any:
    try:
        with safe_globals([argparse.Namespace]):  # data alone: many trainings save their command line
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


def _shards(index: Path) -> dict[str, torch.Tensor]:
    """Return the weights that an index (`*.index.json`) finds in the files beside it."""
    shard_of = _weight_map(index)
    tensors: dict[str, torch.Tensor] = {}
    for file in dict.fromkeys(shard_of.values()):
        shard = index.with_name(file)
        if not shard.is_file():
            raise VartkError(f"{index} needs {file} beside it, which is missing; get all of its shards")
        content = _single(shard, _head(shard))
        for name in (name for name, place in shard_of.items() if place == file):
            if not isinstance(content, dict) or name not in content:
                raise VartkError(f"{shard} lacks {name}, which {index.name} says is there")
            tensors[name] = content[name]
    return tensors


def _weight_map(index: Path) -> dict[str, str]:
    try:
        content = json.loads(index.read_text())
    except ValueError as error:
        raise VartkError(f"{index} is neither a file of weights nor an index of shards: {error}") from error
    shard_of = content.get("weight_map")
    if not isinstance(shard_of, dict) or not all(isinstance(file, str) for file in shard_of.values()):
        raise VartkError(
            f"{index} is no index of shards: it has no weight_map, which tells each weight's file"
        )
    for file in shard_of.values():
        if Path(file).name != file:
            raise VartkError(f"{index} names the shard {file!r}; a shard lies beside its index")
    return shard_of
