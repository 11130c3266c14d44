"""emoji64: 8,060 emoji in five drawing styles, embedded, so that all runs without a download."""

from __future__ import annotations

from collections.abc import Iterable

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> Iterable[ComponentSpec]:
    """Offer the dataset `emoji64`."""
    return [
        ComponentSpec(
            kind="dataset",
            name="emoji64",
            target=f"{__name__}.dataset:Emoji64",
            config=f"{__name__}.config:Emoji64Config",
            summary="8,060 emoji, 64x64, in 5 styles and 9 groups, with captions (embedded)",
        )
    ]
