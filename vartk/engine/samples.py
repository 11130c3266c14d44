"""What sampling gives back."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..config import SamplingConfig


@dataclass(frozen=True, slots=True)
class Samples:
    """Sampled images.

    Attributes:
        images: [N, 3, H, W] in [0, 1].
        codes: for each scale [N, h*w, *shape], as drawn: where cells were given (`Given`), the image shows
            those instead. Empty for images that were made window by window.
        seeds: of each image.
        sampling: every setting, with the defaults filled in; with a refiner, the drafter's.
    """

    images: torch.Tensor
    codes: list[torch.Tensor]
    seeds: list[int]
    sampling: SamplingConfig
