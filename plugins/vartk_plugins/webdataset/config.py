"""The parameters of `webdataset`."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class WebDatasetConfig:
    """Which shards, and what their classes are called."""

    train: str | list[str] = param(
        "", "the training shards: files, folders, globs, ranges such as train-{0000..0099}.tar; required"
    )
    validation: str | list[str] = param("", "the validation shards, likewise; none where not given")
    classes: str | list[str] = param(
        "",
        "class names in the order of their indices, or a text file with one a line; where not given, "
        "the indices, or the names found in the shards, sorted",
    )
