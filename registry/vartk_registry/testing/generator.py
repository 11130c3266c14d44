"""The check of generators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..errors import VartkError
from ..interfaces import Generator, Grid, TrainableGenerator
from .rules import mode, require, require_close, require_shape


def check_generator(
    generator: Generator, image_size: Grid, labels: Sequence[Any] = (0, 1), **params: Any
) -> None:
    """Check a generator, and its training where it has one.

    Args:
        labels: two different ones that it knows.
        params: of `generate`; few steps make the check fast.
    """
    require(generator.takes in ("label", "caption"), f"takes={generator.takes!r} must be label or caption")
    unknown = sorted(set(params) - set(generator.at_call))
    require(not unknown, f"at_call must name the parameters of generate; it lacks {unknown}")
    h, w = image_size

    def made(labels: Sequence[Any], seeds: Sequence[int]) -> torch.Tensor:
        steps = list(generator.generate(generator.parse(labels), seeds, **params))
        require([s.step for s in steps] == list(range(len(steps))), "steps must count up from 0")
        require(bool(steps) and steps[-1].steps == len(steps), "steps must be the number of steps")
        images = steps[-1].images()
        require_shape("images", images, (len(labels), 3, h, w))
        require(bool((images >= 0).all() & (images <= 1).all()), "images must be in [0, 1]")
        return images

    with mode(generator, training=False), torch.no_grad():
        first, second = labels
        both = made([first, second], [3, 4])
        require_close("an image must not depend on its batch", made([second], [4]), both[1:], 1e-3)
        require(not torch.equal(made([second], [5]), both[1:]), "another seed must give another image")
    if isinstance(generator, TrainableGenerator):
        _check_training(generator, image_size, labels)
    if generator.choices:
        try:
            generator.parse([len(generator.choices)])
        except VartkError:
            return
        raise AssertionError("a class out of range must be a VartkError")


def _check_training(generator: TrainableGenerator, image_size: Grid, labels: Sequence[Any]) -> None:
    seeded = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, *image_size, generator=seeded) * 2 - 1
    generator.prepare(images)
    conditions = generator.parse(labels)
    dropped = generator.drop(conditions, torch.tensor([True, False]))
    require(
        bool((dropped[1] == conditions[1]).all()) and bool((dropped[0] != conditions[0]).any()),
        "drop must put the null condition where `dropped` is true, and only there",
    )
    with mode(generator, training=True):
        losses = generator.forward(images, conditions, torch.Generator().manual_seed(1))
        require_shape("the loss", losses, (2,))
        require(losses.requires_grad, "gradients must reach the weights")
        again = generator.forward(images, conditions, torch.Generator().manual_seed(1))
    require_close("a seeded generator must give the same loss", again.detach(), losses.detach())
