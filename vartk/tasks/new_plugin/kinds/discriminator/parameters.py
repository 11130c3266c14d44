from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """The size of the network."""

    width: int = param(32, "channels after the first convolution; each further one doubles them", low=1)
    layers: int = param(3, "convolutions that halve the image", low=1)
