"""The parameters of `folder`."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class FolderConfig:
    """Which folder, and how much of it is held out."""

    path: str = param("", "the folder with the images; required")
    validation: float = param(
        0.1,
        "share of the images held out for validation, chosen by a hash of their names; no effect if "
        "train/ and validation/ or a split column give the split",
        low=0.0,
        high=0.9,
    )
