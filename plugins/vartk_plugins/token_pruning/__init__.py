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
            ("fastvar", "FastVar", "FastVAR: the finest scales compute only their pivotal tokens, or none"),
            (
                "fastervar",
                "FasterVar",
                "FasterVAR: the last scales in a low rank, without their conditional half",
            ),
            ("tome", "ToMe", "token merging: the finest scales compute similar tokens as one token"),
            ("skip_last", "SkipLast", "does not generate the last scales"),
        )
    ]
