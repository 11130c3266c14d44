"""The tokenizer's opponent: a discriminator that learns to tell reconstructions from images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.nn import functional as F

from vartk_registry import Registry
from vartk_registry.interfaces import Discriminator, Grid
from vartk_registry.modes import train_what_learns

from ...config import NO_ADVERSARY, TokenizerTraining
from ..distributed import ALONE, Parallel, World
from .optim import learning_rate, make_state, step_if

LARGEST_WEIGHT = 1e4
"""Where the adaptive weight ends, when the discriminator's gradient vanishes."""

# frozen features are not learned, and so are no part of a checkpoint
_LEARNED = StateDictOptions(ignore_frozen_params=True, strict=False)


def build_adversary(config: TokenizerTraining, image_size: Grid, registry: Registry) -> Adversary | None:
    """Return the configured opponent, or None where there is none.

    Its weights follow from the seed, and drawing them moves no other draw.

    Raises:
        VartkError: it cannot be built, or not take images of this size.
    """
    slot = config.adversarial
    if slot.name == NO_ADVERSARY:
        return None
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(config.seed)
        discriminator = registry.build("discriminator", slot.name, slot.params)
        # a refusal should not wait until it is its turn; in training mode this would change its state
        discriminator.eval()(torch.zeros(1, 3, *image_size))
    return Adversary(discriminator, config)


class Adversary:
    """A discriminator, its optimizer, what it adds to the tokenizer's loss, and its own step.

    A step of training calls `begin`, `term` for each part of the batch, and `update`.

    Args:
        discriminator: images [B, 3, H, W] in [-1, 1] to logits [B, ...].
        config: its start, weight and learning rate; this follows the course of the tokenizer's.
    """

    def __init__(self, discriminator: Discriminator, config: TokenizerTraining) -> None:
        assert isinstance(discriminator, nn.Module)
        self.module = discriminator
        self.config = config
        self._seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def prepare(self, device: torch.device, world: World = ALONE) -> None:
        """Take its place in a training, before the first step."""
        train_what_learns(self.module)
        self.parallel = Parallel(self.module, "ddp", world, device)
        self._trained = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(self._trained, betas=self.config.betas, fused=True)
        make_state(self.module, self.optimizer)

    def begin(self, step: int) -> None:
        """Begin a step, counted from 1."""
        self._seen = []
        self._active = step > self.config.adversarial_start * self.config.steps
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.discriminator_lr * learning_rate(step - 1, self.config)
            group["betas"] = tuple(self.config.betas)

    def term(
        self, images: torch.Tensor, made: torch.Tensor, reconstruction: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return what is added to the tokenizer's loss, and numbers to report; before the start, nothing.

        Args:
            images: [B, 3, H, W].
            made: [B, 3, H, W], their reconstructions.
            reconstruction: the loss whose gradient at `made` the weight adapts to.
        """
        if not self._active:
            return made.new_zeros(()), {}
        self._seen.append((images, made.detach()))
        with self._fixed():
            logits = self.module(made).float()
        weight = adaptive_weight(reconstruction, logits, made)
        loss = -logits.mean()
        numbers = {"adversarial": loss.detach(), "adversarial_weight": weight}
        return self.config.adversarial_weight * weight * loss, numbers

    def update(
        self,
        scaler: torch.amp.GradScaler,
        autocast: Callable[[], AbstractContextManager[Any]],
        finite: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Learn from the images and reconstructions of the step, and return numbers to report.

        If the gradient or the step is not finite, the weights stay as they are.

        Args:
            finite: a boolean on the device: whether the tokenizer's loss and gradient are finite.
        """
        if not self._seen:
            return {}
        self.optimizer.zero_grad(set_to_none=True)
        losses = []
        for part, (images, made) in enumerate(self._seen, 1):
            self.parallel.exchange(part == len(self._seen))
            with autocast():  # in one pass, as DistributedDataParallel wants it
                real, fake = self.parallel.forward(torch.cat((images, made))).float().chunk(2)
            losses.append(hinge(real, fake) / len(self._seen))
            scaler.scale(losses[-1]).backward()
        scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self._trained, self.config.clip or math.inf)
        step_if(self.optimizer, finite & norm.isfinite())
        self._seen = []
        return {"discriminator": torch.stack(losses).sum().detach()}

    def state_dict(self) -> dict[str, Any]:
        """Return the learned weights and the optimizer's state."""
        weights, optimizer = get_state_dict(self.module, self.optimizer, options=_LEARNED)
        return {"module": weights, "optimizer": optimizer}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take both up."""
        set_state_dict(
            self.module,
            self.optimizer,
            model_state_dict=state["module"],
            optim_state_dict=state["optimizer"],
            options=_LEARNED,
        )

    @contextmanager
    def _fixed(self) -> Iterator[None]:
        """Compute without gradients of the discriminator's weights."""
        for parameter in self._trained:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in self._trained:
                parameter.requires_grad_(True)


def hinge(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return the discriminator's loss for logits of images and of reconstructions (arXiv 1705.02894)."""
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


def adaptive_weight(reconstruction: torch.Tensor, logits: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Return the weight at which the adversarial gradient is as long as that of the reconstruction.

    This is VQGAN's lambda (arXiv 2012.09841, eq. 7), with both gradients taken at the images made, as the
    balancer of EnCodec does (arXiv 2210.13438, section 3.4), and not at the weights of the last layer:
    these belong to one architecture, and to several processes where they are sharded.

    Args:
        reconstruction: the loss of `made`.
        logits: the discriminator's, of `made`; the adversarial loss is -mean.
        made: [B, 3, H, W].
    """
    (wanted,) = torch.autograd.grad(reconstruction, made, retain_graph=True)
    # use the sum: the gradient of the mean underflows in half precision
    (given,) = torch.autograd.grad(logits.sum(), made, retain_graph=True)
    return (wanted.norm() * logits.numel() / given.norm()).nan_to_num(0.0).clamp(max=LARGEST_WEIGHT)
