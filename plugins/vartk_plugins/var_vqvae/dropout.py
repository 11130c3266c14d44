"""Scale dropout: in training, some images lose their finest scales (XQ-GAN, arXiv 2412.01762).

Legend: B batch.
"""

from __future__ import annotations

import torch

from vartk_registry import VartkError


def draw_kept(
    images: int, steps: int, *, share: float, keep: int, device: torch.device
) -> list[torch.Tensor]:
    """Draw for each of `steps` scales which images keep it, as their indices.

    An image is chosen with probability `share`, and then keeps its first n scales, with n drawn uniformly
    from `keep` to `steps` - 1; the others keep all.

    The draws are made on the CPU: the number of images that keep a scale is a shape, and to read it from a
    GPU would wait for all that the GPU still has to do.

    Raises:
        VartkError: there is no scale after the first `keep`.
    """
    if keep >= steps:
        raise VartkError(
            f"tokenizer.scale_dropout={share:g} with tokenizer.scale_keep={keep} has nothing to drop in a "
            f"schedule of {steps} scales; take a scale_keep below {steps}, or tokenizer.scale_dropout=0"
        )
    chosen_B = torch.rand(images) < share
    depths_B = torch.randint(keep, steps, (images,)).where(chosen_B, steps)
    order_B = depths_B.argsort(descending=True, stable=True).to(device, non_blocking=True)
    depths = depths_B.tolist()
    return [order_B[: sum(depth > step for depth in depths)] for step in range(steps)]


def refilled(part: torch.Tensor, kept: torch.Tensor, images: int) -> torch.Tensor:
    """Return a batch of `images` that has `part` at the indices which are kept, and zeros at the others."""
    whole = part.new_zeros(images, *part.shape[1:])
    whole[kept] = part
    return whole
