"""The dataset `emoji64`."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence

from PIL import Image

from vartk_registry import UnknownName, VartkError
from vartk_registry.interfaces import Example

from .archive import GROUPS, STYLES, image_bytes, records
from .captions import captions_of
from .combinations import is_unseen


class Emoji64:
    """Fluent Emoji and Noto Emoji, 64x64 RGB on white: 7,332 to train on, 728 to validate with.

    An emoji of the validation split appears in the training split in no style. The classes keep
    one order, by group and then by style, whatever the order of `groups` and `styles`. Captions
    name the style and the emoji: "3d render of red apple"; others are "a red apple, 3d style" and "red apple,
    fruit, vitamins, vegan, 3d style".

    Args:
        classes: "group" (9 classes), "style" (5) or "group-style" (45, such as "food-noto").
        groups, styles: use these alone; empty for all.
        combinations: see `Emoji64Config`.
        split: "train" or "validation".

    Raises:
        UnknownName: a split, group or style that there is none of.
        VartkError: nothing is left; no fluent flag is in the validation split.
    """

    def __init__(
        self, *, classes: str, groups: Sequence[str], styles: Sequence[str], combinations: str, split: str
    ) -> None:
        if split not in ("train", "validation"):
            raise UnknownName("split of emoji64", split, ("train", "validation"))
        groups = _chosen("group", groups, GROUPS)
        styles = _chosen("style", styles, STYLES)
        self._records = [
            record for record in records(split) if record["group"] in groups and record["style"] in styles
        ]
        if split == "train" and combinations != "all":
            unseen = combinations == "unseen"
            self._records = [record for record in self._records if is_unseen(record) is unseen]
        if not self._records:
            raise VartkError(
                f"emoji64 has no {split} images of groups {', '.join(groups)} in styles "
                f"{', '.join(styles)}; add a group or a style"
            )
        if classes == "group-style":
            self.classes = [f"{group}-{style}" for group in groups for style in styles]
        else:
            self.classes = groups if classes == "group" else styles
        self._keys = classes.split("-")
        self.skipped: list[str] = []

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Example:
        record = self._records[index]
        label = self.classes.index("-".join(record[key] for key in self._keys))
        image = Image.open(io.BytesIO(image_bytes(record["file_name"]))).convert("RGB")
        return Example(image, label, record["caption"], captions_of(record))

    def shape(self, index: int) -> tuple[int, int]:
        """Return the height and width of an image in pixels."""
        return 64, 64


def _chosen(what: str, wanted: Collection[str], valid: Sequence[str]) -> list[str]:
    for name in wanted:
        if name not in valid:
            raise UnknownName(f"{what} of emoji64", name, valid)
    return [name for name in valid if not wanted or name in wanted]
