"""The next-scale transformer of VAR (arXiv 2404.02905)."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the transformer."""
    return [
        ComponentSpec(
            kind="transformer",
            name="var",
            target="vartk_plugins.var.transformer:VarTransformer",
            config="vartk_plugins.var.config:VarConfig",
            summary="VAR's transformer: AdaLN, l2-normalised attention, learned positions",
            check_with={"depth": 2, "width": 32, "heads": 2},
        )
    ]
