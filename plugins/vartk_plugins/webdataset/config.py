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
    validation: str | list[str] = param(
        "", "the validation shards, in the same form; if empty, there is no validation"
    )
    classes: str | list[str] = param(
        "",
        "class names in the order of their indices, or a text file with one per line; if empty, the "
        "indices, or the sorted names in the shards",
    )
