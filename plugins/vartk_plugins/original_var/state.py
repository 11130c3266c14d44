"""Finds the original's weights in a file: bare, or as trainings save them, below other names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

from .reading import read_file

MARKS = {
    "VAR tokenizer (VQVAE)": "quantize.embedding.weight",
    "VAR transformer": "pos_start",
    "tokenizer of Infinity (BSQ-VAE)": "encoder.conv_in.conv.weight",
    "transformer of Infinity": "text_norm.weight",
}
"""An entry that only this kind of state dict has."""

_WRAPPER = r"(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
"""What DDP, torch.compile, FSDP and activation checkpointing put before the names of what they wrap."""
_WRAPPERS = re.compile(rf"(?<![^.]){_WRAPPER}")

_EMA = re.compile(r"(?<![a-z])ema(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class State:
    """A file's weights under the original's names.

    Attributes:
        ema: whether they are an exponential moving average.
        note: what was taken where the file holds more than bare weights, in a sentence.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    ema: bool
    note: str

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


def read_state(path: Path, what: str, *, ema: bool) -> State:
    """Return the weights in a file, wherever it has them, the names of wrapping modules taken out.

    Args:
        what: a kind of state dict, one of `MARKS`.
        ema: take the EMA weights of a file that has plain ones as well.

    Raises:
        VartkError: as `read_file`; or the file holds no such weights, or several and they are not one plain
            and one EMA.
    """
    content = read_file(path)
    tensors = dict(_flat(content))
    places = {kind: _places(tensors, mark) for kind, mark in MARKS.items()}
    plain = [place for place in places[what] if not _EMA.search(place)]
    averaged = [place for place in places[what] if _EMA.search(place)]
    chosen = averaged if averaged and (ema or not plain) else plain
    if not chosen:
        others = [kind for kind, found in places.items() if found]
        found = f"it is a {others[0]}; are the two files swapped?" if others else _described(content)
        raise VartkError(f"{path} is not a {what}, which has {MARKS[what]!r}: {found}")
    if len(chosen) > 1:
        listed = ", ".join(_quoted(place) for place in chosen)
        raise VartkError(f"{path} holds several {what}s, {listed}; save the state dict of one alone")
    [place] = chosen
    inner = tuple(p for found in places.values() for p in found if p != place and p.startswith(place))
    under = {
        name.removeprefix(place): tensor
        for name, tensor in tensors.items()
        if name.startswith(place) and not name.startswith(inner)
    }
    named = {_WRAPPERS.sub("", name): tensor for name, tensor in under.items()}
    note = _note(place, under, unused=plain if chosen is averaged else averaged, ema=chosen is averaged)
    return State(path, named, chosen is averaged, note and f"{path.name}: {note}")


def named(
    rename: Callable[[Mapping[str, torch.Tensor]], dict[str, torch.Tensor]], state: State, what: str
) -> dict[str, torch.Tensor]:
    """Return the weights in a file by our names; `VartkError` for names that no `what` has."""
    try:
        return rename(state.tensors)
    except KeyError as error:
        names = error.args
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise VartkError(
            f"{state.path} has entries that no {what} has: {', '.join(names[:5])}{more}"
        ) from error


def notes(*states: State) -> tuple[str, ...]:
    """Return what was taken from files that hold more than bare weights."""
    return tuple(state.note for state in states if state.note)


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of nested mappings under dotted names."""
    if torch.is_tensor(content):
        yield prefix.removesuffix("."), content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, f"{prefix}{key}.")


def _places(tensors: dict[str, torch.Tensor], mark: str) -> list[str]:
    """Return the prefixes below which there is a mark, empty for a bare one; wrappers may divide the mark."""
    divided = rf"\.(?:{_WRAPPER})*".join(map(re.escape, mark.split(".")))
    found = (re.fullmatch(rf"((?:.*\.)?){divided}", name) for name in tensors)
    return [match[1] for match in found if match]


def _note(place: str, under: dict[str, torch.Tensor], *, unused: list[str], ema: bool) -> str:
    """Return what was taken, or an empty string where it is all there is, under its own names."""
    wrappers = {match[:-1] for name in under for match in _WRAPPERS.findall(name)}
    parts = [f"the weights {_quoted(place)} are read"] if place else []
    parts += [f"names are read without {', '.join(map(repr, sorted(wrappers)))}"] if wrappers else []
    if unused:
        parts.append(f"{'plain' if ema else 'EMA'} weights are there too, {_quoted(unused[0])}")
        parts.append("leave ema=true out to take them" if ema else "ema=true takes them")
    elif ema:
        parts.append("they are EMA weights, and no others are there")
    return "; ".join(parts)


def _quoted(place: str) -> str:
    return f"under {place.removesuffix('.')!r}" if place else "bare"


def _described(content: Any) -> str:
    if isinstance(content, dict):
        return f"it holds a mapping with {', '.join(map(repr, list(content)[:5])) or 'nothing'}"
    return f"it holds a {type(content).__name__}"
