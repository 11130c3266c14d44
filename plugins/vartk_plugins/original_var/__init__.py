"""Reads the checkpoints of the original VAR and Infinity (github.com/FoundationVision)."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the importers."""
    return [
        ComponentSpec(
            kind="importer",
            name="var",
            target="vartk_plugins.original_var.importer:VarImporter",
            config="vartk_plugins.original_var.config:VarImporterConfig",
            summary="state dicts and training checkpoints of the original VAR; exports to them, too",
            aliases=("original",),
        ),
        ComponentSpec(
            kind="importer",
            name="infinity",
            target="vartk_plugins.original_var.infinity.importer:InfinityImporter",
            config="vartk_plugins.original_var.config:InfinityImporterConfig",
            summary="the original Infinity's files: 125M, 2B, and the folder of the 8B model",
        ),
    ]
