"""Parameters of finite scalar quantisation."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class FSQConfig:
    """Parameters of `fsq`."""

    levels: list[int] = param(
        [8, 5, 5, 5],
        "levels of each latent channel (tokenizer.latent of them); their product is the number of classes",
        low=3,
    )
    commitment: float = param(
        0.25, "weight of the commitment term, which pulls features to their codes", low=0
    )
