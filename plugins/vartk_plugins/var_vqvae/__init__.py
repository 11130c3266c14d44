"""Multi-scale residual tokenizers: those of VAR (arXiv 2404.02905) and Infinity (arXiv 2412.04431)."""

from vartk_registry import ComponentSpec, hookimpl

_SMALL = {"channels": 32, "multipliers": [1, 1, 1], "blocks": 1, "latent": 8}


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the tokenizers."""
    return [
        ComponentSpec(
            kind="tokenizer",
            name="var_vqvae",
            target="vartk_plugins.var_vqvae.tokenizer:MultiScaleVQVAE",
            config="vartk_plugins.var_vqvae.config:VQVAEConfig",
            summary="VAR's multi-scale residual VQVAE, of any depth and width",
            check_with=_SMALL,
        ),
        ComponentSpec(
            kind="tokenizer",
            name="bsq_vae",
            target="vartk_plugins.var_vqvae.bsq:BitwiseVAE",
            config="vartk_plugins.var_vqvae.config:BSQVAEConfig",
            summary="Infinity's multi-scale residual autoencoder, made for the quantizer `bsq`",
            check_with=_SMALL,
        ),
    ]
