"""The check of importers."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import VartkError
from ..interfaces import Imported, Importer
from .rules import require


class _Malicious:
    """An object whose unpickling makes a folder."""

    def __init__(self, made: Path) -> None:
        self._made = made

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self._made),)


def check_importer(
    importer: Importer, tokenizer: Path | None = None, transformer: Path | None = None
) -> None:
    """Check what an importer refuses, and what it makes of files that it must read.

    Args:
        tokenizer, transformer: files of the other project. Without them, only refusals are checked.
    """
    with tempfile.TemporaryDirectory() as folder:
        _check_refusals(importer, Path(folder))
    if tokenizer is not None:
        _check_imported(importer(tokenizer, None), with_transformer=False)
        if transformer is not None:
            _check_imported(importer(tokenizer, transformer), with_transformer=True)


def _check_refusals(importer: Importer, folder: Path) -> None:
    text, pickled, made = folder / "text", folder / "pickle", folder / "made"
    text.write_text("these are no weights")
    # protocol 2 is torch's own: it warns about others
    pickled.write_bytes(pickle.dumps(_Malicious(made), protocol=2))
    for what, path in (
        ("a file that is not there", folder / "nothing"),
        ("a text file", text),
        ("a pickle of code", pickled),
    ):
        try:
            importer(path, None)
        except VartkError as error:
            require(path.name in str(error), f"the refusal of {what} must name the file, unlike: {error}")
        except Exception as error:
            raise AssertionError(f"{what} must be refused with a VartkError, not {error!r}") from error
        else:
            raise AssertionError(f"{what} must be refused with a VartkError")
        require(not made.exists(), "code in a pickle must not run: read it with weights_only=True")


def _check_imported(imported: Imported, *, with_transformer: bool) -> None:
    require(isinstance(imported, Imported), f"it must return Imported, not {imported!r}")
    require(
        isinstance(imported.config, dict) and "tokenizer" in imported.config,
        f"config must be a model's configuration, as in model.yaml, not {imported.config!r}",
    )
    require(
        (imported.transformer is not None) == with_transformer,
        "transformer must hold weights if its file is given, and be None otherwise",
    )
    for part in (imported.tokenizer, imported.transformer or {}):
        _check_weights(part, imported.original_name)
    require(
        isinstance(imported.notes, tuple) and all(isinstance(note, str) for note in imported.notes),
        f"notes must be a tuple of sentences, not {imported.notes!r}",
    )


def _check_weights(weights: Mapping[str, torch.Tensor], original_name: Callable[[str], str]) -> None:
    for name, weight in weights.items():
        require(isinstance(weight, torch.Tensor), f"the weight {name!r} must be a tensor, not {type(weight)}")
        original = original_name(name)
        require(
            isinstance(original, str) and bool(original),
            f"original_name({name!r}) must be a name in the foreign files, not {original!r}",
        )
