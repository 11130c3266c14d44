"""Files that are whole or absent: written aside, synced, renamed; and read with clear errors."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from vartk_registry import VartkError, shortened


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` when the block ends well and vanishes otherwise.

    Raises:
        VartkError: the disk is full or the place cannot be written; what was at `path` is still there.
    """
    aside = _aside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        _sync(aside)
        aside.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise VartkError(_cannot_write(path, error)) from error
    finally:
        with suppress(OSError):
            aside.unlink()


@contextmanager
def whole_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a folder to fill, which becomes `path` when the block ends well and vanishes otherwise.

    Args:
        replace: put it in the place of the folder at `path`, whose files never mix with the new ones.

    Raises:
        VartkError: as `whole_file`, or `path` exists and is not to be replaced.
    """
    if not replace:
        refuse_existing(path)
    if path.is_symlink():  # to an empty folder, say; a folder cannot be renamed to a link
        path = Path(os.path.realpath(path))
    aside, old = _aside(path), path.with_name(f".{path.name}.old")
    try:
        if old.exists() and not path.exists():  # killed between the two renames below
            old.rename(path)
        for leftover in (aside, old):
            shutil.rmtree(leftover, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        for part in (*aside.rglob("*"), aside):
            _sync(part)
        if replace and path.exists():
            path.rename(old)
        aside.rename(path)
        _sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise VartkError(_cannot_write(path, error)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def refuse_existing(path: Path) -> None:
    """Raise `VartkError` if there is something at `path`, or nothing can be written there.

    An empty folder does not count.
    """
    try:
        if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
            raise VartkError(f"{path} exists and is not overwritten; give another --out, or remove it")
        aside = _aside(path.absolute())
        parent = next(folder for folder in aside.parents if os.path.lexists(folder))
        parent.stat()  # a link to nothing holds no folders
        for place in (aside, *(parent / name for name in aside.relative_to(parent).parts)):
            with suppress(FileNotFoundError):
                place.lstat()  # which fails if a name is too long, or a part of the path is a file
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise VartkError(_cannot_write(path, error)) from error


def remove_partial(folder: Path) -> None:
    """Remove what a kill left of the files and folders that were being written in `folder`."""
    for path in list(folder.rglob(".*.partial")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def file_name(words: str) -> str:
    """Return words as the name of a file."""
    return re.sub(r"[^\w.+=-]+", "-", words)


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path, **metadata: str) -> None:
    """Write tensors as a safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    owned = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as aside:
        aside.touch()
        usual = aside.stat().st_mode
        try:
            save_file(owned, aside, metadata={"format": "pt", **metadata})
            aside.chmod(usual)  # safetensors makes files that nobody else can read
        except Exception as error:  # safetensors raises its own type for a full disk
            raise OSError(str(error)) from error


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file; `VartkError` where it is missing, truncated or of another kind."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not os.path.isfile(path):
        raise VartkError(f"{path} is missing")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise VartkError(f"{path} is truncated or not a safetensors file: {error}") from error


def _aside(path: Path) -> Path:
    whole = path if path.name not in ("", "..") else Path(os.path.realpath(path))
    return whole.with_name(f".{whole.name}.partial")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(path: Path, error: OSError) -> str:
    return f"{shortened(path)} could not be written: {error.strerror or error}; nothing was changed there"
