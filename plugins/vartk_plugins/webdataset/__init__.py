"""webdataset: images with labels and captions from tar shards in the WebDataset layout."""

from __future__ import annotations

from collections.abc import Iterable

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> Iterable[ComponentSpec]:
    """Offer the dataset `webdataset`."""
    return [
        ComponentSpec(
            kind="dataset",
            name="webdataset",
            target=f"{__name__}.dataset:WebDataset",
            config=f"{__name__}.config:WebDatasetConfig",
            summary="tar shards: KEY.jpg, .png or .webp with KEY.cls, KEY.txt or KEY.json",
        )
    ]
