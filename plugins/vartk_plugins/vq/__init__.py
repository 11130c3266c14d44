"""Vector quantisation: one learned codebook, searched by distance or by angle."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the quantizers `vq` and `vq-cosine`."""
    return [
        ComponentSpec(
            kind="quantizer",
            name="vq",
            target="vartk_plugins.vq.quantizer:VectorQuantizer",
            config="vartk_plugins.vq.config:VQConfig",
            summary="a learned codebook; the nearest entry by Euclidean distance",
        ),
        ComponentSpec(
            kind="quantizer",
            name="vq-cosine",
            target="vartk_plugins.vq.quantizer:CosineVectorQuantizer",
            config="vartk_plugins.vq.config:VQConfig",
            summary="a learned codebook; the nearest entry by cosine similarity",
        ),
    ]
