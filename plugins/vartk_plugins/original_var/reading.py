"""Reads PyTorch files safely, and says what is wrong with them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

State = dict[str, torch.Tensor]


def read_state(path: Path, nested: str, mark: str, what: str) -> State:
    """Return the state dict in a file, bare or under ['trainer'][nested] of a training checkpoint.

    Args:
        mark: the name of an entry that tells this kind of state dict from others.
        what: how messages call the kind ("VQVAE").

    Raises:
        VartkError: the file is missing, truncated, unsafe, or of another kind.
    """
    if not path.is_file():
        raise VartkError(f"there is no file {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise VartkError(
            f"{path} holds more than tensors or is no PyTorch file, and is not read: {_first_line(error)}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise VartkError(f"{path} is truncated or no PyTorch file: {_first_line(error)}") from error
    state = _unnested(content, nested)
    if not _is_state(state):
        raise VartkError(
            f"{path} holds no state dict, neither bare nor under ['trainer'][{nested!r}]; "
            f"it holds {_described(content)}"
        )
    if mark not in state:
        raise VartkError(
            f"{path} is not a {what}: it has no {mark!r} among its {len(state)} entries "
            f"({', '.join(list(state)[:3])}, ...)"
        )
    return state


def _unnested(content: Any, nested: str) -> Any:
    if isinstance(content, dict) and isinstance(content.get("trainer"), dict):
        return content["trainer"].get(nested)
    return content


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


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
