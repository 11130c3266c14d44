"""Samplers: filtered categorical draws, the most likely code, and VAR's smooth variant."""

from vartk_registry import ComponentSpec, hookimpl

_HERE = "vartk_plugins.samplers"


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Return the samplers."""
    return [
        ComponentSpec(
            kind="sampler",
            name="categorical",
            target=f"{_HERE}.categorical:Categorical",
            config=f"{_HERE}.config:Categorical",
            summary="draws at random, after temperature, top-k and top-p",
        ),
        ComponentSpec(
            kind="sampler",
            name="greedy",
            target=f"{_HERE}.greedy:Greedy",
            summary="takes the most likely code, without randomness",
        ),
        ComponentSpec(
            kind="sampler",
            name="gumbel_smooth",
            target=f"{_HERE}.gumbel_smooth:GumbelSmooth",
            config=f"{_HERE}.config:Categorical",
            summary="mixes codes softly with a Gumbel softmax, for smoother images (VAR's more_smooth)",
        ),
    ]
