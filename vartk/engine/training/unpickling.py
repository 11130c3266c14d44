"""Reads checkpoints without running code that their pickles may hold."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import DefaultLoadPlanner, FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.planner import ReadItem

from vartk_registry import VartkError

_OF_METADATA = "torch.distributed.checkpoint.metadata"
_KNOWN = {
    *(
        (_OF_METADATA, name)
        for name in (
            "_MEM_FORMAT_ENCODING",
            "BytesStorageMetadata",
            "ChunkStorageMetadata",
            "Metadata",
            "MetadataIndex",
            "StorageMeta",
            "TensorProperties",
            "TensorStorageMetadata",
        )
    ),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    ("torch", "Size"),
    ("torch.serialization", "_get_layout"),
    # where the checkpoint was written; the module's name depends on Python's release
    *((module, name) for module in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath")),
}
"""Everything that torch writes into `.metadata`, except the dtypes: (module, name)."""


class SafeReader(FileSystemReader):
    """Reads the checkpoint in a folder.

    Raises:
        VartkError: its `.metadata` names what torch does not write there.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # here and not when torch asks: it takes any failure for missing metadata, and looks elsewhere
        self._metadata = _metadata(folder)

    def read_metadata(self) -> Metadata:
        """Return what the checkpoint holds, and where."""
        self._metadata.storage_meta = self._metadata.storage_meta or StorageMeta()
        self._metadata.storage_meta.load_id = self.load_id
        return self._metadata


class SafePlanner(DefaultLoadPlanner):
    """Takes plain values of the checkpoint in `folder` beside its tensors; torch's own takes any pickle."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        """Put a value into the state; errors as `load_plain`."""
        load_plain(value, read_item.dest_index.fqn, self.folder)
        value.seek(0)
        super().load_bytes(read_item, value)


def load_plain(file: Path | io.BytesIO, what: str, folder: Path) -> Any:
    """Return the tensors and plain values of a file of `torch.save`.

    Args:
        what: its name in messages. folder: the checkpoint that it belongs to.

    Raises:
        VartkError: it holds other objects.
    """
    try:
        return torch.load(file, weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(folder, f"its {what} is neither a tensor nor a plain value") from error


def _metadata(folder: Path) -> Metadata:
    with (folder / ".metadata").open("rb") as file:
        try:
            metadata = _Unpickler(file).load()
        except pickle.UnpicklingError as error:
            raise _refused(folder, f"its .metadata {error}") from error
    if not isinstance(metadata, Metadata):
        raise _refused(folder, f"its .metadata is a {type(metadata).__name__}")
    return metadata


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a class or function that metadata needs."""
        if module == "torch" and isinstance(dtype := getattr(torch, name, None), torch.dtype):
            return dtype
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"names {module}.{name}")
        return super().find_class(module, name)


def _refused(folder: Path, reason: str) -> VartkError:
    return VartkError(
        f"checkpoint {folder} is not loaded: {reason}, which vartk never writes and which could run any "
        "code; remove it, and resume from the one before"
    )
