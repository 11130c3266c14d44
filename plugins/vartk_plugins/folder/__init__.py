"""folder: the images of a folder, with classes from sub-folders or labels from a table."""

from __future__ import annotations

from collections.abc import Iterable

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> Iterable[ComponentSpec]:
    """Offer the dataset `folder`."""
    return [
        ComponentSpec(
            kind="dataset",
            name="folder",
            target=f"{__name__}.dataset:Folder",
            config=f"{__name__}.config:FolderConfig",
            summary="images of a folder: class sub-folders, flat, or with metadata.jsonl or .csv",
        )
    ]
