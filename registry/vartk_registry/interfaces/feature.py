"""Features: frozen networks that say how images differ to the eye, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Feature(Protocol):
    """Component kind `feature`, a `torch.nn.Module` that is built frozen and in evaluation mode.

    Images are [B, 3, H, W] in [0, 1], of any size: they are resized inside where the network needs it.
    """

    label: str
    """How numbers made with it are called: FD-LABEL, KID-LABEL."""

    def distance(self, images: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return the perceptual distance of each image to its reference [B], 0 where they are equal.

        Gradients flow to `images`.
        """
        ...

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return a vector an image [B, D], for distances between sets of images and for neighbours."""
        ...


@runtime_checkable
class VectorFeature(Feature, Protocol):
    """A feature that gives more than one kind of vectors, all from one pass of the network."""

    kinds: tuple[str, ...]
    """The kinds it gives: "features", and perhaps "logits" and "spatial"."""
    published: dict[str, str]
    """What papers call numbers that are made with it, by the number's name, as in {"fd": "FID"}; usually
    empty. Files of statistics that do not name their feature are of the one with such names."""

    def vectors(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the vectors of images by kind, in float32.

        `features` [B, D] equal `pooled`; `logits` [B, classes] are a classifier's answers; `spatial`
        [B, P] are maps whose positions are kept, flattened.
        """
        ...
