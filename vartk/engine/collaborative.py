"""Collaborative decoding (CoDe, arXiv 2411.17787): a drafter draws the first scales, a refiner the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from vartk_registry import VartkError, shown
from vartk_registry.interfaces import Tokenizer

from ..config import SamplingConfig
from .arguments import as_scales
from .build import Predictor
from .generate import Recipe


class Collaborator(Protocol):
    """What a model must have to share a generation with another: `Model` has it."""

    tokenizer: Tokenizer
    predictor: Predictor | None

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    def sampling(self, **settings: Any) -> SamplingConfig:
        """Return the defaults for sampling with `settings` merged in."""
        ...

    def recipe(self, sampling: SamplingConfig, seeds: Sequence[int]) -> Recipe:
        """Build the parts of a generation."""
        ...


M = TypeVar("M", bound=Collaborator)


@dataclass(frozen=True, slots=True)
class Handover(Generic[M]):
    """Where a generation goes over to another model.

    Attributes:
        refiner: the model that draws the scales after the first `draft`.
        sampling: the refiner's settings.
    """

    refiner: M
    draft: int
    sampling: SamplingConfig


def hand_over(
    drafter: M, refiner: M | None, draft: int | None, settings: Mapping[str, Any]
) -> Handover[M] | None:
    """Return how a drafter hands over, or None without a refiner; `settings` are for both models.

    Raises:
        VartkError: one of the two arguments is missing, `draft` is out of range, or the models do not fit.
    """
    if refiner is None and draft is None:
        return None
    if refiner is None or draft is None:
        raise VartkError(
            "collaborative decoding takes a refiner, the model that goes on, and draft, the number of scales "
            "before that; give both, or neither"
        )
    if not isinstance(refiner, type(drafter)):
        raise VartkError(
            f"refiner={shown(refiner)} is no model; load it, as in refiner=vartk.load('var-d16')"
        )
    _check_fit(drafter, refiner)
    sampling = refiner.sampling(**settings)
    ours = drafter.recipe(drafter.sampling(**settings), [0]).schedule
    theirs = refiner.recipe(sampling, [0]).schedule
    if ours != theirs:
        raise VartkError(
            f"the refiner's scales are {theirs}, the drafter's {ours}; give both one schedule, or take a "
            "refiner that was trained on the drafter's"
        )
    if ours.raster:
        raise VartkError(
            "the drafter draws whole scales, and these models draw a code at a time (raster order)"
        )
    return Handover(refiner, as_scales("draft", draft, len(ours)), sampling)


def _check_fit(drafter: Collaborator, refiner: Collaborator) -> None:
    """Check that a refiner knows the codes and the conditions of a drafter."""
    if refiner.predictor is None:
        raise VartkError("the refiner is a tokenizer alone and cannot sample; give it a transformer")
    if refiner.tokenizer.space != drafter.tokenizer.space:
        raise VartkError(
            f"the refiner predicts other codes, {refiner.tokenizer.space}, than the drafter, "
            f"{drafter.tokenizer.space}; take a refiner that was trained on the drafter's tokenizer"
        )
    if refiner.device != drafter.device:
        raise VartkError(
            f"the refiner is on {refiner.device}, the drafter on {drafter.device}; load both on one device"
        )
    if not _same_weights(drafter.tokenizer, refiner.tokenizer):
        raise VartkError(
            "the refiner has another tokenizer than the drafter, so that codes do not mean the same; train a "
            "refiner by `vartk train transformer CONFIG --tokenizer DRAFTER --out RUN`"
        )
    if refiner.classes != drafter.classes:
        raise VartkError(
            f"the refiner has {_listed(refiner.classes)}, the drafter {_listed(drafter.classes)}; take a "
            "refiner that was trained on the same classes"
        )


def _same_weights(ours: nn.Module, theirs: nn.Module) -> bool:
    if ours is theirs:
        return True
    a, b = ours.state_dict(), theirs.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _listed(classes: list[str]) -> str:
    return f"{len(classes)} classes ({', '.join(classes[:3])}{', ...' if len(classes) > 3 else ''})"
