"""xFormers' memory-efficient attention."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the backend `xformers`."""
    return [
        ComponentSpec(
            kind="attention",
            name="xformers",
            target=f"{__name__}.backend:XformersAttention",
            summary="xFormers' memory-efficient attention, with block-diagonal biases; CUDA only",
            requires=("xformers",),
            install_hint="type `pip install xformers`, or install vartk[xformers]",
        )
    ]
