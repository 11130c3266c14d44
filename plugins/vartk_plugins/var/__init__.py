"""The next-scale transformers of VAR (arXiv 2404.02905) and Infinity (arXiv 2412.04431)."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the transformers."""
    return [
        ComponentSpec(
            kind="transformer",
            name="var",
            target="vartk_plugins.var.transformer:VarTransformer",
            config="vartk_plugins.var.config:VarConfig",
            summary="VAR's transformer: AdaLN, l2-normalised attention, learned positions",
            check_with={"depth": 2, "width": 32, "heads": 2},
        ),
        ComponentSpec(
            kind="transformer",
            name="infinity",
            target="vartk_plugins.var.infinity.transformer:InfinityTransformer",
            config="vartk_plugins.var.config:InfinityConfig",
            summary="Infinity's transformer: text by cross-attention, 2-D RoPE, logits of bits",
            check_with={"depth": 2, "width": 32, "heads": 2, "text_width": 128},
        ),
    ]
