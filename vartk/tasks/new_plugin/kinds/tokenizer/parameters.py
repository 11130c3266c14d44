from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """The size of the latent."""

    patch: int = param(8, "side of the patches in pixels; each is a cell of the latent", low=1)
    channels: int = param(16, "channels of the latent, and so the width of the codes' vectors", low=1)
