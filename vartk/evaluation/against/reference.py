"""What images are compared with: other images, or statistics that were computed from them before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vartk_registry import Registry, VartkError
from vartk_registry.interfaces import Feature, Grid, Metric, MomentsMetric, SingleSetMetric

from ...engine.sets import FEATURES, Moments, Seen, moments_of
from ...files import whole_file
from ..looking import Look
from ..pictures import Archive, Pictures, open_pictures
from ..pictures.archive import IMAGES, arrays, readable

_STORED: Mapping[str, tuple[str, str]] = {FEATURES: ("mu", "sigma"), "spatial": ("mu_s", "sigma_s")}
"""The names of the mean and the covariance of each kind of vectors, in the ADM layout."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference set.

    Attributes:
        name: as it was named.
        pictures: its images; None where only statistics are there.
        seen: what the feature saw of them, if it is known.
        moments: the mean and the covariance of vectors by kind. They may be of more images than there are.
        sizes: (height, width) of its images, as far as they are known.
    """

    name: str
    pictures: Pictures | None = None
    seen: Seen | None = None
    moments: Mapping[str, Moments] = field(default_factory=dict)
    sizes: Sequence[Grid] = ()

    @classmethod
    def read(cls, path: Path, feature: Feature) -> Reference:
        """Open a folder of images, an npz file in the ADM layout, or statistics that vartk saved.

        Raises:
            VartkError: there is no such reference, or its statistics are of another feature.
        """
        if path.suffix != ".npz" or not path.is_file():
            return cls(str(path), open_pictures(path))
        names = arrays(path)
        pictures = Archive([path]) if IMAGES in names else None
        if "feature" not in names:
            # files of other projects do not name their feature: it is that of published FIDs
            moments = _moments(path, names) if getattr(feature, "published", None) else {}
            if pictures is None and not moments:
                raise VartkError(
                    f"{path} has no {IMAGES} with images, and statistics of a feature that it does not "
                    f"name, which {feature.label} cannot use; take feature=inception, or another reference"
                )
            return cls(str(path), pictures, moments=moments)
        with readable(path), np.load(path) as stored:
            label = str(stored["feature"])
            if label != feature.label:
                raise VartkError(
                    f"{path} holds statistics of the feature {label}, and this evaluation looks with "
                    f"{feature.label}; name the feature that the file was saved with, or another reference"
                )
            seen = Seen({FEATURES: torch.from_numpy(stored[FEATURES])})
            h, w = stored["size"].tolist()
        return cls(str(path), None, seen, _moments(path, names), ((h, w),))

    @property
    def count(self) -> int:
        """The images that the feature has seen; 0 if there are only moments."""
        return 0 if self.seen is None else len(self.seen)

    def missing(self, registry: Registry, metrics: Sequence[str]) -> list[str]:
        """Return the metrics that need images of the reference where it has only statistics."""
        if self.pictures is not None:
            return []
        return [name for name in metrics if not self._serves(registry.build("metric", name, {}))]

    def looked_at(self, look: Look) -> Reference:
        """Return the reference with what the feature sees of its images."""
        if self.pictures is None:
            return self
        seen, sizes = look.at("reference", self.pictures)
        return replace(self, seen=seen, sizes=sizes)

    def save(self, path: Path, feature: Feature) -> None:
        """Write the statistics and the features, in the ADM layout: the next evaluation reads them at once.

        Raises:
            VartkError: the reference has no images, or the file cannot be written.
        """
        if self.seen is None:
            raise VartkError(f"{self.name} has only statistics; --save-reference needs images")
        content: dict[str, Any] = {
            "feature": feature.label,
            "size": np.array(self.sizes[0]),
            FEATURES: self.seen.vectors[FEATURES].numpy(),
        }
        for kind, (mean, covariance) in _STORED.items():
            if kind in self.moments or kind in self.seen.vectors:
                found = self.moments.get(kind) or moments_of(self.seen.vectors[kind])
                content[mean], content[covariance] = (each.numpy() for each in found)
        with whole_file(path) as aside, aside.open("wb") as file:
            np.savez(file, **content)

    def _serves(self, metric: Metric) -> bool:
        if isinstance(metric, SingleSetMetric):
            return True
        if isinstance(metric, MomentsMetric) and metric.takes in self.moments:
            return True
        return self.seen is not None and metric.takes in self.seen.vectors


def _moments(path: Path, names: Sequence[str]) -> dict[str, Moments]:
    """Return the moments that a file has, by kind; `VartkError` where they are damaged."""
    found = {}
    with readable(path), np.load(path) as stored:
        for kind, (mean, covariance) in _STORED.items():
            if mean not in names or covariance not in names:
                continue
            mu, sigma = (torch.from_numpy(stored[name]).double() for name in (mean, covariance))
            if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)):
                raise VartkError(
                    f"{path}: {mean} is {list(mu.shape)} and {covariance} is {list(sigma.shape)}; they must "
                    "be [D] and [D, D]"
                )
            found[kind] = (mu, sigma)
    return found
