"""Conditions an image on its class."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the conditioner."""
    return [
        ComponentSpec(
            kind="conditioner",
            name="class",
            target="vartk_plugins.class_conditioner.conditioner:ClassConditioner",
            config="vartk_plugins.class_conditioner.config:ClassConfig",
            summary="one learned vector per class, and one for no class",
        )
    ]
