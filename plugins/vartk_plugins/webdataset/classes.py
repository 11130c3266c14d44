"""From labels, as the shards have them, to classes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from vartk_registry import VartkError, counted

_MOST_INDICES = 100_000


def read_class_names(classes: str | list[str]) -> list[str]:
    """Return the names of a list, or those of a text file with one a line."""
    if not isinstance(classes, str):
        return classes
    try:
        lines = Path(os.path.expanduser(classes)).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VartkError(
            f"dataset webdataset: classes={classes!r} cannot be read ({error}); "
            "give a text file with one name a line, or a list of names"
        ) from error
    return [line.strip() for line in lines if line.strip()]


def class_names(labels: Collection[str]) -> list[str]:
    """Return the indices from 0 to the highest, or, where a label is no index, the labels, sorted."""
    if not all(label.isdecimal() for label in labels):
        return sorted(labels)
    highest = max(map(int, labels))
    if highest >= _MOST_INDICES:
        raise VartkError(
            f"dataset webdataset: the labels are indices as high as {highest}, too high to be those of "
            "classes; list what they stand for in dataset.classes"
        )
    return [str(index) for index in range(highest + 1)]


def class_indices(labels: Mapping[str, Path], classes: Collection[str]) -> dict[str, int]:
    """Return the index of each label, which is the name of a class or its index.

    Args:
        labels: each with a shard that has it, for messages; "" for none.
        classes: their names.

    Raises:
        VartkError: a label is missing, or none of the classes.
    """
    counts = Counter(classes)
    indices = {name: index for index, name in enumerate(classes) if counts[name] == 1}
    for label, shard in labels.items():
        if not label:
            raise VartkError(
                f"dataset webdataset: {shard} has no labels, though there are classes; leave it out, or "
                "write its samples with a .cls"
            )
        if label not in indices:
            if not label.isdecimal() or int(label) >= len(classes):
                raise VartkError(
                    f"dataset webdataset: the label {label!r} in {shard} is neither the name of one class "
                    f"nor the index of one: there {'is' if len(classes) == 1 else 'are'} "
                    f"{counted(len(classes), 'name')} in dataset.classes"
                )
            indices[label] = int(label)
    return indices
