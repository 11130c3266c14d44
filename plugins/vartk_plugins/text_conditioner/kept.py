"""The features of texts that were encoded before.

Legend: N tokens, T width.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

Ids = tuple[int, ...]
"""The ids of a text's tokens."""

KEPT = 2**28
"""Numbers of features that are kept of texts which were encoded here: those that came last."""


class Kept:
    """Features [N, T] by the ids of a text: those that were stored for good, and those that came last."""

    def __init__(self) -> None:
        self._stored: dict[Ids, Tensor] = {}
        self._recent: OrderedDict[Ids, Tensor] = OrderedDict()

    def __deepcopy__(self, memo: Any) -> Kept:
        """Return this one: copies of a model, such as its average, have the same frozen encoder."""
        return self

    def store(self, texts: Iterable[Ids], features: Sequence[Tensor]) -> None:
        """Keep features for good."""
        self._stored |= zip(texts, features, strict=True)

    def missing(self, texts: Iterable[Ids]) -> list[Ids]:
        """Return the distinct texts whose features are not here, the empty one left out."""
        return [ids for ids in dict.fromkeys(texts) if ids and self.find(ids) is None]

    def find(self, ids: Ids) -> Tensor | None:
        """Return the features of a text; None if they are not here."""
        found = self._stored.get(ids)
        if found is None and ids in self._recent:
            self._recent.move_to_end(ids)
            return self._recent[ids]
        return found

    def add(self, texts: Sequence[Ids], features: Sequence[Tensor]) -> None:
        """Keep features of texts that were encoded."""
        self._recent |= zip(texts, features, strict=True)

    def trim(self) -> None:
        """Forget the texts that did not come for longest, as far as there is too much."""
        while sum(features.numel() for features in self._recent.values()) > KEPT:
            self._recent.popitem(last=False)
