"""The random numbers of a generation, under an explicit policy."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vartk_registry import UnknownName
from vartk_registry.interfaces import Randomness

POLICIES = ("per_image", "shared")


class PerImageRandom:
    """One generator an image: the same seed gives the same image whatever the batch."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = generators

    def categorical(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Draw indices [B, ...] from probabilities [B, ..., V], row i by generator i."""
        images = zip(probabilities, self.generators, strict=True)
        return torch.stack([_multinomial(image, generator) for image, generator in images])

    def exponential(self, like: torch.Tensor) -> torch.Tensor:
        """Draw Exponential(1) numbers in the shape [B, ...] of `like`, row i by generator i."""
        images = zip(like, self.generators, strict=True)
        return torch.stack(
            [torch.empty_like(image).exponential_(generator=generator) for image, generator in images]
        )


class SharedRandom:
    """One generator for the whole batch: the stream of the original VAR."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def categorical(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Draw indices [B, ...] from probabilities [B, ..., V]."""
        return _multinomial(probabilities, self.generator)

    def exponential(self, like: torch.Tensor) -> torch.Tensor:
        """Draw Exponential(1) numbers in the shape of `like`."""
        return torch.empty_like(like).exponential_(generator=self.generator)


def _multinomial(probabilities: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    rows = probabilities.reshape(-1, probabilities.shape[-1])
    # the original draws with replacement, and the two ways consume the generator differently
    drawn = torch.multinomial(rows, 1, replacement=True, generator=generator)
    return drawn.reshape(probabilities.shape[:-1])


def randomness(policy: str, seeds: Sequence[int], device: torch.device | str) -> Randomness:
    """Return the random numbers of a generation of `len(seeds)` images on `device`.

    Args:
        policy: "per_image", a generator for each seed; "shared", one generator of the first seed.

    Raises:
        UnknownName: there is no such policy.
    """
    if policy not in POLICIES:
        raise UnknownName("random policy", policy, POLICIES)
    if policy == "shared":
        return SharedRandom(torch.Generator(device).manual_seed(seeds[0]))
    return PerImageRandom([torch.Generator(device).manual_seed(seed) for seed in seeds])
