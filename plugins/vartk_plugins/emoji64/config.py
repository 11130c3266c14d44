"""The parameters of `emoji64`."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Emoji64Config:
    """Which images are used and what their classes are."""

    classes: str = param(
        "group-style",
        "what a class is: a group such as food, a style such as noto, or both as in food-noto",
        choices=("group", "style", "group-style"),
    )
    groups: list[str] = param(
        [],
        "groups to use, from smileys, people, animals, food, travel, activities, objects, symbols, "
        "flags; empty uses all",
    )
    combinations: str = param(
        "all",
        "pictures of the training split: all; seen leaves out one style of about every eighth emoji, whose "
        "other styles stay; unseen has what seen leaves out, to test a model of texts on new combinations of "
        "emoji and style",
        choices=("all", "seen", "unseen"),
    )
    styles: list[str] = param(
        [],
        "styles to use, from fluent-3d, fluent-color, fluent-flat, noto, noto-blob; empty uses all",
    )
