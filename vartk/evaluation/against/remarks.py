"""What is unusual about two sets of images, so that their numbers mean less than they seem to."""

from __future__ import annotations

from collections.abc import Sequence

from vartk_registry.interfaces import Grid

from ...engine.sets import FEATURES, Seen
from ..pictures import Pictures, class_remarks
from .reference import Reference


def remarks(pictures: Pictures, found: Seen, sizes: Sequence[Grid], reference: Reference) -> list[str]:
    """Return sentences about images that were compared with a reference.

    Args:
        pictures: the images, after all were read; found: what was seen of them; sizes: what they have.
    """
    lines = [*pictures.remarks, *class_remarks(pictures.labels)]
    others = [size for size in reference.sizes if size not in sizes]
    if others:
        lines.append(
            f"The images are {_named(sizes[0])} and those of the reference {_named(others[0])} pixels. The "
            "feature resizes both, which changes every distance: compare images of one size."
        )
    width = found.vectors[FEATURES].shape[1]
    # statistics beside images, as published files have them, are of far more images
    known = FEATURES in reference.moments and reference.pictures is not None
    counts = {
        "images": len(found),
        "images of the reference": 0 if known else reference.count,
    }
    for what, count in counts.items():
        if 0 < count <= width:
            lines.append(
                f"{count} {what} are too few for the {width} numbers of a feature: their covariance is "
                "singular, and FD is far too high. KID has no such bias."
            )
    return lines


def _named(size: Grid) -> str:
    h, w = size
    return f"{h}x{w}"
