"""Attention backends that need torch alone."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the oracle, torch's fused and flex attention, and products in bfloat16."""
    return [
        ComponentSpec(
            kind="attention",
            name="eager",
            target="vartk_plugins.attention.eager:EagerAttention",
            summary="plain fp32 attention with a dense mask; the reference for the other backends",
        ),
        ComponentSpec(
            kind="attention",
            name="sdpa",
            target="vartk_plugins.attention.sdpa:SdpaAttention",
            config="vartk_plugins.attention.config:SdpaConfig",
            summary="torch's fused attention: one call with a dense mask on a GPU, one per segment elsewhere",
        ),
        ComponentSpec(
            kind="attention",
            name="matmul",
            target="vartk_plugins.attention.matmul:MatmulAttention",
            summary="matrix products in bf16, on CPUs that have them",
        ),
        ComponentSpec(
            kind="attention",
            name="flex",
            target="vartk_plugins.attention.flex:FlexAttention",
            summary="torch's flex attention, compiled for the whole mask; no gradients on a CPU",
        ),
    ]
