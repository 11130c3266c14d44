"""Protocols of published numbers, by name: what all parts of an evaluation must be to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vartk_registry import UnknownName, VartkError
from vartk_registry.downloads import download
from vartk_registry.interfaces import Grid
from vartk_registry.places import cache_folder

from ..pictures import spread

_ADM = "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/ref_batches/imagenet"

FREE = ("batch", "attention", "compile", "record", "precision")
"""Settings of sampling that change speed and rounding, but not what is sampled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How published numbers are made.

    Attributes:
        suite: who decided it, in words.
        feature: the name of the component; metrics: theirs.
        classes: of the dataset; each: images of a class.
        references: the address of the reference file, by (height, width) of the images.
    """

    name: str
    suite: str
    feature: str
    metrics: Sequence[str]
    classes: int
    each: int
    references: Mapping[Grid, str]

    @property
    def count(self) -> int:
        """All images."""
        return self.classes * self.each

    def reference(self, size: Grid) -> Path:
        """Return the reference file, downloaded once into vartk's cache folder.

        Raises:
            VartkError: there is none for this size, or it cannot be downloaded.
        """
        h, w = size
        if size not in self.references:
            known = ", ".join(f"{a}x{b}" for a, b in self.references)
            raise VartkError(
                f"protocol {self.name} has references for images of {known} pixels, and these are {h}x{w}; "
                "name a reference with --reference"
            )
        url = self.references[size]
        path = cache_folder() / "references" / Path(url).name
        advice = "name a copy with --reference FILE"
        return download(url, path, what=f"the reference of protocol {self.name}", advice=advice)

    def departures(self, result: Mapping[str, Any]) -> list[str]:
        """Return the parts of an evaluation that are not the protocol's, as phrases.

        Args:
            result: what `Plan.carry_out` returns.
        """
        found = []
        if "fd" not in result["published"]:
            found.append(f"the feature is {result['feature']} and not {self.feature}")
        if result["n"] != self.count:
            found.append(f"there are {result['n']:,} images and not {self.count:,}")
        h, w = result["size"]
        if (h, w) not in self.references:
            found.append(f"no reference is published for images of {h}x{w} pixels")
        elif Path(result["reference"]).name != (file := Path(self.references[h, w]).name):
            found.append(f"the reference is {result['reference']} and not {file}")
        elif "features" not in result["stored_moments"]:
            found.append("the reference lacks the stored statistics of all training images")
        counts = result["class_counts"]
        if counts and counts != [self.each] * self.classes:
            found.append(
                f"there are {len(counts):,} classes with {spread(counts)} images each and not "
                f"{self.classes:,} with {self.each}"
            )
        found += [
            f"{key} is {now} and not {own}, the model's own" for key, own, now in result["other_settings"]
        ]
        return found + [f"JPEG files: {line}" for line in result["remarks"] if "JPEG" in line]


PROTOCOLS = {
    "adm-50k": Protocol(
        name="adm-50k",
        suite="the ADM evaluation suite (Dhariwal and Nichol 2021, arXiv 2105.05233), 50 images a class",
        feature="inception",
        metrics=("fd", "sfd", "is", "precision_recall"),
        classes=1000,
        each=50,
        references={
            (256, 256): f"{_ADM}/256/VIRTUAL_imagenet256_labeled.npz",
            (512, 512): f"{_ADM}/512/VIRTUAL_imagenet512.npz",
        },
    )
}

PUBLISHED = PROTOCOLS["adm-50k"]
"""The protocol of the FIDs that papers report on ImageNet."""


def find_protocol(name: str) -> Protocol:
    """Return a protocol by name; `UnknownName` for any other name."""
    if name not in PROTOCOLS:
        raise UnknownName("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
