"""DiT, the diffusion transformer that VAR is compared with, by diffusers."""

from __future__ import annotations

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the generator `dit`."""
    return [
        ComponentSpec(
            kind="generator",
            name="dit",
            target=f"{__name__}.generator:DiT",
            config=f"{__name__}.config:DiT",
            summary="a diffusion transformer on the continuous latents of a tokenizer (arXiv 2212.09748)",
            check_with={"depth": 1, "heads": 2, "head_dim": 8, "noise_steps": 20, "steps": 3},
            requires=("diffusers",),
            install_hint="type `pip install diffusers`, or install vartk[diffusers]",
        )
    ]
