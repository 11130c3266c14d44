"""Importers: other projects' checkpoints as vartk models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

    from .schedule import Schedule


@dataclass(frozen=True, slots=True)
class Imported:
    """A model read from foreign files.

    Attributes:
        config: the model's configuration, as in `model.yaml`.
        tokenizer, transformer: the weights under the names of vartk's modules; `transformer` holds the
            conditioner's too, under "conditioner."; it is None where only a tokenizer was given.
        original_name: gives the name of a weight in the foreign files, for messages.
        notes: what the user should know of the files, such as which of their weights were taken.
    """

    config: dict[str, Any]
    tokenizer: dict[str, torch.Tensor]
    transformer: dict[str, torch.Tensor] | None
    original_name: Callable[[str], str]
    notes: tuple[str, ...] = ()


@runtime_checkable
class Importer(Protocol):
    """Component kind `importer`."""

    def __call__(self, tokenizer: Path, transformer: Path | None) -> Imported:
        """Read the files; `VartkError` names what is wrong with them. Pickles: `weights_only=True`."""
        ...


@runtime_checkable
class Exporter(Importer, Protocol):
    """Optional, of an `Importer` that also writes what it reads (`vartk export`)."""

    def export(
        self,
        config: Mapping[str, Any],
        schedule: Schedule,
        tokenizer: Mapping[str, torch.Tensor],
        transformer: Mapping[str, torch.Tensor] | None,
    ) -> dict[str, dict[str, torch.Tensor]]:
        """Return the other project's state dicts by the names of their files.

        Args:
            config: the model's, as in `model.yaml`, with all defaults.
            tokenizer, transformer: the weights, as in `Imported`.

        Raises:
            VartkError: the other project cannot hold such a model; the message names what it lacks.
        """
        ...
