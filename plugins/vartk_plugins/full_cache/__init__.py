"""The cache that keeps everything."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the cache."""
    return [
        ComponentSpec(
            kind="cache",
            name="full",
            target="vartk_plugins.full_cache.cache:FullCache",
            summary="keeps every key and value of every scale, allocated once",
        )
    ]
