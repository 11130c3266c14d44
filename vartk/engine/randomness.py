"""The random numbers of a generation, under an explicit policy."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vartk_registry import UnknownName
from vartk_registry.interfaces import Randomness

POLICIES = ("per_image", "shared")


class PerImageRandom:
    """One generator an image: the same seed gives the same image whatever the batch and the device.

    Args:
        generators: on the CPU; what they draw is moved to the device of the probabilities.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = generators

    def categorical(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Draw indices [B, ...] from probabilities [B, ..., V], row i by generator i: one number a draw."""
        drawn = [
            torch.rand(image.shape[:-1], generator=generator, dtype=torch.float64)
            for image, generator in zip(probabilities, self.generators, strict=True)
        ]
        below = probabilities.double().cumsum(-1)
        wanted = torch.stack(drawn).to(below.device).unsqueeze(-1) * below[..., -1:]
        # the first class whose sum is above, so that one without probability is never drawn
        return torch.searchsorted(below, wanted, right=True).squeeze(-1)

    def exponential(self, like: torch.Tensor) -> torch.Tensor:
        """Draw Exponential(1) numbers in the shape [B, ...] of `like`, row i by generator i."""
        drawn = [
            torch.empty(image.shape).exponential_(generator=generator)
            for image, generator in zip(like, self.generators, strict=True)
        ]
        return torch.stack(drawn).to(like)


class SharedRandom:
    """One generator for the whole batch: the stream of the original VAR."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def categorical(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Draw indices [B, ...] from probabilities [B, ..., V]."""
        rows = probabilities.reshape(-1, probabilities.shape[-1])
        # the original draws with replacement, and the two ways consume the generator differently
        drawn = torch.multinomial(rows, 1, replacement=True, generator=self.generator)
        return drawn.reshape(probabilities.shape[:-1])

    def exponential(self, like: torch.Tensor) -> torch.Tensor:
        """Draw Exponential(1) numbers in the shape of `like`."""
        return torch.empty_like(like).exponential_(generator=self.generator)


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
    return PerImageRandom([torch.Generator().manual_seed(seed) for seed in seeds])
