"""Pipelines of diffusers, such as Stable Diffusion."""

from __future__ import annotations

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the generator `diffusers`."""
    return [
        ComponentSpec(
            kind="generator",
            name="diffusers",
            target=f"{__name__}.pipeline:Pipeline",
            config=f"{__name__}.config:Pipeline",
            summary="a pipeline of diffusers (Stable Diffusion and others), from a folder or the hub",
            requires=("diffusers", "transformers"),
            install_hint="type `pip install diffusers transformers`, or install vartk[diffusers]",
        )
    ]
