"""A plugin for vartk: what it offers."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the components."""
    return [
        ComponentSpec(
            kind="quantizer",
            name="kdtree",
            target="vartk_kdtree.quantizer:KdtreeQuantizer",
            config="vartk_kdtree.config:KdtreeQuantizerConfig",
            summary="a codebook whose nearest entry is found in a k-d tree, for CPUs",
            requires=("scipy",),
            install_hint="pip install vartk-kdtree",
        ),
    ]
