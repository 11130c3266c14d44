"""Caches that save work: tokens that are not computed, and scales that are not generated."""

from vartk_registry import ComponentSpec, hookimpl

_HERE = "vartk_plugins.token_pruning"


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
            ("fastvar", "FastVar", "FastVAR: the finest scales compute the tokens that stand out, or none"),
            ("tome", "ToMe", "token merging: the finest scales compute similar tokens as one"),
            ("skip_last", "SkipLast", "the last scales are not generated"),
        )
    ]
