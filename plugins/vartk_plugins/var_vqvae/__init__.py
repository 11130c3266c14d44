"""The multi-scale residual VQVAE of VAR (arXiv 2404.02905)."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the tokenizer `var_vqvae`."""
    return [
        ComponentSpec(
            kind="tokenizer",
            name="var_vqvae",
            target="vartk_plugins.var_vqvae.tokenizer:MultiScaleVQVAE",
            config="vartk_plugins.var_vqvae.config:VQVAEConfig",
            summary="VAR's multi-scale residual VQVAE, of any depth and width",
        )
    ]
