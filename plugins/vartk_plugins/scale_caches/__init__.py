"""Caches that keep or evict whole scales."""

from vartk_registry import ComponentSpec, hookimpl

_HERE = "vartk_plugins.scale_caches"


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Return the caches."""
    return [
        ComponentSpec(
            kind="cache",
            name=name,
            target=f"{_HERE}.{module}:{attribute}",
            config=f"{_HERE}.config:{attribute}",
            summary=summary,
        )
        for name, module, attribute, summary in (
            ("window", "recent", "Window", "keeps the last scales"),
            ("sink", "recent", "Sink", "keeps the first and the last scales"),
            (
                "ams_kv",
                "ams_kv",
                "AmsKv",
                "AMS-KV: keeps the first scales and the last ones, more of them in some layers",
            ),
        )
    ]
