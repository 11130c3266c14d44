"""The check of discriminators."""

from __future__ import annotations

import torch

from ..interfaces import Discriminator, Grid
from .rules import mode, require, require_close, require_shape


def check_discriminator(discriminator: Discriminator, image_size: Grid = (64, 64)) -> None:
    """Check a discriminator on random images, in evaluation mode."""
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
