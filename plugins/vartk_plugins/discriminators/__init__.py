"""Discriminators for the adversarial training of tokenizers: of patches, and of DINO's features."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer `patch` and `dino`."""
    return [
        ComponentSpec(
            kind="discriminator",
            name="patch",
            target="vartk_plugins.discriminators.patch:PatchDiscriminator",
            config="vartk_plugins.discriminators.config:PatchConfig",
            summary="PatchGAN: convolutions that judge overlapping patches",
        ),
        ComponentSpec(
            kind="discriminator",
            name="dino",
            target="vartk_plugins.discriminators.dino:build_dino",
            config="vartk_plugins.discriminators.config:DinoConfig",
            summary="heads on the features of a frozen DINO ViT-S/16; its weights are downloaded",
        ),
    ]
