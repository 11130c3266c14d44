from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """How many images there are."""

    count: int = param(300, "images of a split", low=1)
    size: int = param(64, "side of the images in pixels", low=8)
