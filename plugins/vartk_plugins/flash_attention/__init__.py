"""FlashAttention, from the authors' packages."""

from importlib.util import find_spec

from vartk_registry import ComponentSpec, hookimpl

_MODULE = "flash_attn_interface" if find_spec("flash_attn_interface") else "flash_attn"
"""One generation is enough: 3 is a module of its own, 2 and 4 are parts of `flash_attn`."""


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the backend `flash`."""
    return [
        ComponentSpec(
            kind="attention",
            name="flash",
            target=f"{__name__}.backend:FlashAttention",
            summary="flash-attn 4, 3 or 2, one launch per mask; CUDA, fp16 and bf16 only",
            requires=(_MODULE,),
            install_hint="type `pip install flash-attn --no-build-isolation`, or see docs/attention.md",
        )
    ]
