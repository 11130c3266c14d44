"""Filtering logits and drawing codes, apart from the rest of a generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ...config import SamplingConfig
from ...engine.generate import Recipe
from ...engine.model import Model


class Listening(Model):
    """A model that remembers, while it listens, what its sampler was asked to draw.

    Attributes:
        heard: the draws of each scale, which a call does again; None while it does not listen.
    """

    heard: list[Callable[[], object]] | None = None

    def recipe(self, sampling: SamplingConfig, seeds: Sequence[int]) -> Recipe:
        """Build the parts of a generation; see `Model`."""
        recipe = super().recipe(sampling, seeds)
        if self.heard is None:
            return recipe
        return replace(recipe, sampler=partial(_hear, self.heard, recipe.sampler))


def _hear(heard: list[Callable[[], object]], sampler: Callable[..., Any], *asked: Any) -> Any:
    heard.append(partial(sampler, *asked))
    return sampler(*asked)
