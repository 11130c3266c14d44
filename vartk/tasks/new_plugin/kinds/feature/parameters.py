from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """What is seen of an image."""

    side: int = param(8, "side of the small images in pixels", low=1)
