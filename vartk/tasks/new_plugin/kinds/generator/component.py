"""The generator `my-name`.

Legend: B batch, H and W the sides of the image.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from vartk_registry import VartkError, class_index
from vartk_registry.interfaces import Generated, Grid, Tokenizer


class MyComponent(nn.Module):
    """Rectified flow on pixels (arXiv 2209.03003): a network predicts the way from noise to an image.

    Args:
        classes: their names by index.
        image_size: (height, width).
        tokenizer: not used, since it works on pixels.
        width: channels of the network.
        steps: of the integration, unless a call gives another number.
    """

    takes = "label"
    at_call: ClassVar[tuple[str, ...]] = ("steps",)

    def __init__(
        self,
        *,
        classes: Sequence[str],
        image_size: Grid,
        tokenizer: Tokenizer | None,
        width: int,
        steps: int,
    ) -> None:
        super().__init__()
        if not classes:
            raise VartkError("generator 'my-name' needs the names of the classes; set classes=[a,b]")
        self.choices, self.image_size, self.steps = list(classes), image_size, steps
        self.condition = nn.Embedding(len(classes) + 1, width)
        self.start = nn.Conv2d(4, width, 3, padding=1)
        self.network = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, 3, 3, padding=1)
        )

    def parse(self, values: Sequence[Any]) -> torch.Tensor:
        """Return the indices [B] of classes given by index or name."""
        return torch.tensor([class_index(value, self.choices) for value in values])

    def drop(self, conditions: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
        """Return the indices, with the null one where `dropped` [B] is true."""
        return torch.where(dropped, len(self.choices), conditions)

    def prepare(self, images: torch.Tensor) -> None:
        """Measure nothing before training."""

    def forward(
        self, images: torch.Tensor, conditions: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return the squared error of the way [B], each at a random time, of images in [-1, 1]."""
        noise = torch.randn(images.shape, generator=generator).to(images)
        times = torch.rand(len(images), generator=generator).to(images)
        mixed = noise + times[:, None, None, None] * (images - noise)
        return (self._way(mixed, times, conditions) - (images - noise)).square().flatten(1).mean(dim=1)

    def generate(self, conditions: torch.Tensor, seeds: Sequence[int], *, steps: int) -> Iterator[Generated]:
        """Yield the images after each of `steps` equal steps from the noise of the seeds."""
        device = self.condition.weight.device
        drawn = [torch.Generator().manual_seed(seed) for seed in seeds]
        x = torch.stack([torch.randn(3, *self.image_size, generator=each) for each in drawn]).to(device)
        for step in range(steps):
            times = torch.full((len(x),), step / steps, device=device)
            x = x + self._way(x, times, conditions.to(device)) / steps
            yield Generated(step, steps, lambda image=x: (image / 2 + 0.5).clamp(0, 1))

    def _way(self, x: torch.Tensor, times: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Return the predicted way [B, 3, H, W] at a time from 0, noise, to 1, an image."""
        time = times[:, None, None, None].expand(-1, 1, *x.shape[2:])
        start = self.start(torch.cat((x, time), dim=1))
        return self.network(start + self.condition(conditions)[..., None, None])
