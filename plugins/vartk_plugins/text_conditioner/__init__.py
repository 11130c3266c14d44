"""Conditions an image on a text, as a frozen encoder of transformers reads it."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the conditioner."""
    return [
        ComponentSpec(
            kind="conditioner",
            name="text",
            target="vartk_plugins.text_conditioner.conditioner:TextConditioner",
            config="vartk_plugins.text_conditioner.config:TextConfig",
            summary="the tokens of a prompt and their mean, by MiniLM, T5 or CLIP",
            requires=("transformers",),
            install_hint="pip install 'vartk[text]'",
        )
    ]
