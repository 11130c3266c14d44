"""Scale dropout: in training, some images lose their finest scales (XQ-GAN, arXiv 2412.01762).

Legend: B batch.
"""

from __future__ import annotations

import torch

from vartk_registry import VartkError


def draw_kept(
    images: int, steps: int, *, share: float, keep: int, device: torch.device
) -> list[torch.Tensor]:
    """Draw for each of `steps` scales which images keep it, a mask [B].

    An image is chosen with probability `share`, and then keeps its first n scales, with n drawn uniformly
    from `keep` to `steps` - 1; the others keep all.

    Raises:
        VartkError: there is no scale after the first `keep`.
    """
    if keep >= steps:
        raise VartkError(
            f"tokenizer.scale_dropout={share:g} with tokenizer.scale_keep={keep} has nothing to drop in a "
            f"schedule of {steps} scales; take a scale_keep below {steps}, or tokenizer.scale_dropout=0"
        )
    chosen_B = torch.rand(images, device=device) < share
    depths_B = torch.randint(keep, steps, (images,), device=device).where(chosen_B, steps)
    return [step < depths_B for step in range(steps)]


def refilled(part: torch.Tensor, kept_B: torch.Tensor) -> torch.Tensor:
    """Return a batch that has `part` at the images which are kept, and zeros at the others."""
    whole = part.new_zeros(len(kept_B), *part.shape[1:])
    whole[kept_B] = part
    return whole
