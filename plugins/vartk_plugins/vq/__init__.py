"""Vector quantisation: a codebook, learned or averaged, searched by distance or by angle, or several."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer `vq`, `vq-cosine`, `vq-ema`, `simvq`, `ibq` and `pq`."""
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
        ComponentSpec(
            kind="quantizer",
            name="vq-ema",
            target="vartk_plugins.vq.ema:EMAVectorQuantizer",
            config="vartk_plugins.vq.config:EMAConfig",
            summary="a codebook of moving averages of the encoded vectors; unused codes restart",
        ),
        ComponentSpec(
            kind="quantizer",
            name="simvq",
            target="vartk_plugins.vq.sim:SimVectorQuantizer",
            config="vartk_plugins.vq.config:SimVQConfig",
            summary="SimVQ: a fixed random codebook times a learned matrix, which moves all entries at once",
        ),
        ComponentSpec(
            kind="quantizer",
            name="ibq",
            target="vartk_plugins.vq.ibq:IndexBackpropagationQuantizer",
            config="vartk_plugins.vq.config:IBQConfig",
            summary="IBQ: a learned codebook; a softmax over all entries gives each of them a gradient",
        ),
        ComponentSpec(
            kind="quantizer",
            name="pq",
            target="vartk_plugins.vq.product:ProductQuantizer",
            config="vartk_plugins.vq.config:PQConfig",
            summary="product quantisation: a codebook for each part of a vector",
        ),
    ]
