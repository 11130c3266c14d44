"""Caches that keep the tokens with the most attention."""

from vartk_registry import ComponentSpec, hookimpl

_HERE = "vartk_plugins.token_caches"


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Return the caches."""
    return [
        ComponentSpec(
            kind="cache",
            name=name,
            target=f"{_HERE}.{name}:{attribute}",
            config=f"{_HERE}.config:{attribute}",
            summary=summary,
        )
        for name, attribute, summary in (
            ("h2o", "H2o", "H2O: keeps the newest tokens and those with the most attention so far"),
            (
                "scale_kv",
                "ScaleKv",
                "ScaleKV: keeps the tokens that 16 tokens of the newest map attend to most",
            ),
            ("hack", "Hack", "HACK: keeps the tokens with the most attention, fewer in contextual heads"),
        )
    ]
