"""What sampling gives back."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import torch

from vartk_registry import counted

from ..config import SamplingConfig
from ..images import enlarged, tile, to_pil

COLUMNS = 8
"""Images in a row of the picture that a notebook shows."""


@dataclass(frozen=True, slots=True, repr=False)
class Samples:
    """Sampled images; as the last value of a notebook's cell it shows them.

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

    def __repr__(self) -> str:
        h, w = self.images.shape[-2:]
        return f"{counted(len(self.images), 'image')} of {w}x{h} pixels, seeds {_ranges(self.seeds)}"

    def _repr_png_(self) -> bytes:
        """Return the images in rows as a PNG file."""
        columns = min(COLUMNS, len(self.images))
        content = BytesIO()
        to_pil(tile(enlarged(self.images), columns)).save(content, format="PNG")
        return content.getvalue()


def _ranges(seeds: list[int]) -> str:
    """Return seeds in words; those that count up by 1 as a range, such as "0-7, 12"."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
