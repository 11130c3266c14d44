"""The random numbers of a generation, under an explicit policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

import torch

from vartk_registry import UnknownName
from vartk_registry.interfaces import Randomness, Schedule
from vartk_registry.kernels import serves_triton
from vartk_registry.noise import KeyedNoise, mixed, offset, unit

POLICIES = ("per_image", "shared")


class GenerationRandom(Protocol):
    """The random numbers of one generation, step by step.

    Attributes:
        beside: for what draws no codes, such as a cache; these numbers leave those of the codes alone.
    """

    beside: KeyedNoise

    def at(self, step: int) -> Randomness:
        """Return the random numbers of a step."""
        ...


class PerImageRandom:
    """One random integer a code, drawn before the first step from the stream of the code's image.

    The same seed gives the same image in any batch, on any device, and in a generation that begins at any
    scale. A code's integer is the key of its noise, see `KeyedRandom`.

    Args:
        keys: [B, codes of all scales + 1] int64, in the order scale, position, axis of the code; the last
            one of an image is for the numbers `beside`.
        sizes: the codes of each step, with all their axes.
    """

    def __init__(self, keys: torch.Tensor, sizes: Sequence[int]) -> None:
        self.keys = keys
        self.beside = KeyedNoise(keys[:, -1])
        self._sizes = sizes
        self._stops = list(accumulate(sizes))

    def with_keys(self, keys: torch.Tensor) -> PerImageRandom:
        """Return the random numbers of other keys for the same steps."""
        return PerImageRandom(keys, self._sizes)

    def at(self, step: int) -> KeyedRandom:
        """Return the random numbers of a step: the same ones at each call."""
        start = self._stops[step - 1] if step else 0
        return KeyedRandom(self.keys[:, start : self._stops[step]])


class KeyedRandom:
    """Noise that is a function of a key a code: a hash of the key, the class, and the count of the calls.

    A draw is a race: each class has an Exponential(1) number E of its own, and the class of the largest
    p / E is drawn, which happens with probability p. Of two nearly equal distributions nearly always the
    same code is drawn. A single number between the cumulated probabilities would not have this: it shifts
    with every class.

    Args:
        keys: [B, codes] int64.
    """

    def __init__(self, keys: torch.Tensor) -> None:
        self._keys = keys
        self._calls = 0

    def categorical(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Draw indices [B, n, *shape] from probabilities [B, n, *shape, V]; never one of probability 0."""
        if serves_triton(probabilities):
            from .kernels import race  # needs Triton, which comes with torch for CUDA alone

            keys, call = self._keys_of(probabilities), self._next_call()
            return race(probabilities, keys, call)
        return (probabilities / self.exponential(probabilities)).argmax(dim=-1)

    def exponential(self, like: torch.Tensor) -> torch.Tensor:
        """Draw Exponential(1) numbers in the shape [B, n, *shape, V] of `like`, between 2^-33 and 17."""
        keys = self._keys_of(like)[..., None]
        start = keys.to(torch.int32) + self._next_call()
        stride = (keys >> 32).to(torch.int32) | 1
        classes = torch.arange(like.shape[-1], dtype=torch.int32, device=like.device)
        # never 0, which would win every race, and never 1, which would lose against probability 0
        uniform = unit(mixed(classes * stride + start), like.dtype)
        return uniform.neg_().log1p_().neg_()

    def _keys_of(self, like: torch.Tensor) -> torch.Tensor:
        """Return the key of each code, in the shape [B, n, *shape]."""
        if like.shape[:-1].numel() != self._keys.numel():
            raise ValueError(
                f"noise for logits {tuple(like.shape)}, but there are {self._keys.shape[1]} numbers for each "
                f"of {len(self._keys)} images: one a code"
            )
        return self._keys.reshape(like.shape[:-1])

    def _next_call(self) -> int:
        self._calls += 1
        return offset(self._calls - 1)


class SharedRandom:
    """One generator for the whole batch: the stream of the original VAR.

    Args:
        generator: of the codes.
        keys: [B] int64, of the numbers `beside`, one for each image.
    """

    def __init__(self, generator: torch.Generator, keys: torch.Tensor) -> None:
        self.generator = generator
        self.beside = KeyedNoise(keys)

    def at(self, step: int) -> SharedRandom:
        """Return the random numbers of a step: the stream goes on, whatever the step."""
        return self

    def categorical(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Draw indices [B, ...] from probabilities [B, ..., V]."""
        rows = probabilities.reshape(-1, probabilities.shape[-1])
        # the original draws with replacement, and the two ways consume the generator differently
        drawn = torch.multinomial(rows, 1, replacement=True, generator=self.generator)
        return drawn.reshape(probabilities.shape[:-1])

    def exponential(self, like: torch.Tensor) -> torch.Tensor:
        """Draw Exponential(1) numbers in the shape of `like`."""
        return torch.empty_like(like).exponential_(generator=self.generator)


def randomness(
    policy: str, seeds: Sequence[int], schedule: Schedule, code: Sequence[int], device: torch.device | str
) -> GenerationRandom:
    """Return the random numbers of a generation of `len(seeds)` images on `device`.

    Args:
        policy: "per_image", a stream for each seed; "shared", one generator of the first seed.
        schedule: the steps.
        code: the shape of a code; () for one integer.

    Raises:
        UnknownName: there is no such policy.
    """
    if policy not in POLICIES:
        raise UnknownName("random policy", policy, POLICIES)
    if policy == "shared":
        beside = torch.cat([_keys(seed, 1) for seed in seeds]).to(device)
        return SharedRandom(torch.Generator(device).manual_seed(seeds[0]), beside)
    sizes = [size * math.prod(code) for size in schedule.sizes]
    keys = torch.stack([_keys(seed, sum(sizes) + 1) for seed in seeds])
    return PerImageRandom(keys.to(device), sizes)


def _keys(seed: int, count: int) -> torch.Tensor:
    # on the CPU, whose generator is the same everywhere
    return torch.empty(count, dtype=torch.int64).random_(generator=torch.Generator().manual_seed(seed))
