"""The check of discriminators."""

from __future__ import annotations

import torch

from ..interfaces import Discriminator, Grid
from ..modes import train_what_learns
from .rules import mode, require, require_close, require_shape


def check_discriminator(discriminator: Discriminator, image_size: Grid = (64, 64)) -> None:
    """Check a discriminator on random images, in both modes; it stays as it is."""
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(3, 3, *image_size, generator=generator) * 2 - 1).requires_grad_()
    with mode(discriminator, training=False):
        logits = discriminator(images)
        require_shape("logits", logits, (3, *logits.shape[1:]))
        require(logits.requires_grad, "gradients must reach the images")
        objective = logits.square().sum()
        (gradient,) = torch.autograd.grad(objective, images, retain_graph=True, allow_unused=True)
        require(gradient is not None, "gradients must reach the images")
        require_shape("the gradient of the images", gradient, images.shape)
        require(bool(gradient.any()), "gradients must reach the images")
        require_close(
            "an image's logits must not depend on the others of the batch",
            discriminator(images[:1]),
            logits[:1],
        )
    assert isinstance(discriminator, torch.nn.Module)  # `mode` has required it
    trained = [parameter for parameter in discriminator.parameters() if parameter.requires_grad]
    require(bool(trained), "a discriminator must have parameters that are trained")
    gradients = torch.autograd.grad(objective, trained, allow_unused=True)
    require(
        all(gradient is not None for gradient in gradients),
        "gradients must reach every parameter that is trained; let the others require none",
    )
    other_batch = torch.cat((images[:1], images[1:] / 2))
    require_close(
        "in training mode, too, an image's logits must not depend on the others of the batch",
        _logits_in_training(discriminator, other_batch)[:1],
        _logits_in_training(discriminator, images)[:1],
    )


@torch.no_grad()
def _logits_in_training(discriminator: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the logits of always the same dropout and state, which a call may change."""
    state = {name: tensor.clone() for name, tensor in discriminator.state_dict().items()}
    with mode(discriminator, training=True), torch.random.fork_rng():
        train_what_learns(discriminator)
        torch.manual_seed(0)
        logits: torch.Tensor = discriminator(images)
    discriminator.load_state_dict(state)
    return logits
