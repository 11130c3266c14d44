"""Reads the checkpoints of the original VAR (github.com/FoundationVision/VAR)."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the importer."""
    return [
        ComponentSpec(
            kind="importer",
            name="var",
            target="vartk_plugins.original_var.importer:VarImporter",
            config="vartk_plugins.original_var.config:VarImporterConfig",
            summary="state dicts and training checkpoints of the original VAR; exports to them, too",
            aliases=("original",),
        )
    ]
