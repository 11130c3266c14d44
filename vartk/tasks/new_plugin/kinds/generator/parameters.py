from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """The network, and how it is integrated."""

    width: int = param(64, "channels of the network", low=1)
    steps: int = param(20, "steps from noise to an image", low=1)
