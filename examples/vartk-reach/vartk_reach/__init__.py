"""A plugin for vartk: what it offers."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the components."""
    return [
        ComponentSpec(
            kind="cache",
            name="reach",
            target="vartk_reach.cache:ReachCache",
            config="vartk_reach.config:ReachCacheConfig",
            summary="keeps the newest scales, as many in each layer as its attention reaches back",
        ),
    ]
