"""Full-reference metrics: how close images are to the ones they should equal."""

from __future__ import annotations

from collections.abc import Iterable

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> Iterable[ComponentSpec]:
    """Offer the metrics `psnr` and `ssim`."""
    return [
        ComponentSpec(
            kind="metric",
            name="psnr",
            target=f"{__name__}.psnr:PSNR",
            summary="peak signal-to-noise ratio in dB, mean over images",
        ),
        ComponentSpec(
            kind="metric",
            name="ssim",
            target=f"{__name__}.ssim:SSIM",
            summary="structural similarity, at most 1, mean over channels and images",
        ),
    ]
