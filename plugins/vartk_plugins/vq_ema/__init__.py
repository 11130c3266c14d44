"""Vector quantisation with a codebook of moving averages."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the quantizer `vq-ema`."""
    return [
        ComponentSpec(
            kind="quantizer",
            name="vq-ema",
            target="vartk_plugins.vq_ema.quantizer:EMAVectorQuantizer",
            config="vartk_plugins.vq_ema.config:EMAConfig",
            summary="a codebook of moving averages of the vectors it stands for; unused codes restart",
        ),
    ]
