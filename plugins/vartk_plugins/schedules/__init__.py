"""Schedules: VAR's published ones, ones that grow to fit any latent grid, and raster order."""

from typing import Any

from vartk_registry import ComponentSpec, hookimpl

_HERE = "vartk_plugins.schedules"


def _spec(
    name: str,
    attribute: str,
    summary: str,
    config: str | None = None,
    module: str = "grids",
    **check_with: Any,
) -> ComponentSpec:
    return ComponentSpec(
        kind="schedule",
        name=name,
        target=f"{_HERE}.{module}:{attribute}",
        config=config and f"{_HERE}.config:{config}",
        summary=summary,
        check_with=check_with,
    )


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Return the schedules."""
    return [
        _spec("var-256", "var_256", "VAR's 10 scales for 256 px (latent 16x16, 680 tokens)"),
        _spec("var-512", "var_512", "VAR's 10 scales for 512 px (latent 32x32, 2240 tokens)"),
        _spec("var-1024", "var_1024", "VAR's 14 scales for 1024 px (latent 64x64, 9451 tokens)"),
        _spec("powers-of-four", "PowersOfFour", "the latent halved until 1x1: 1, 4, 16, 64 tokens"),
        _spec("geometric", "Geometric", "sides that grow by a constant factor", "Growing"),
        _spec("linear", "Linear", "sides that grow by a constant step", "Growing"),
        _spec(
            "raster", "raster", "a token a step, row by row: the classic next-token model", "InRasterOrder"
        ),
        _spec(
            "infinity",
            "Infinity",
            "Infinity's scales for 15 aspect ratios and 4 numbers of pixels, up to 1024 px",
            "InfinityConfig",
            module="infinity",
        ),
        _spec("custom", "custom", "your own list of grids", "Custom", grids=[1, 2, 4]),
    ]
