"""Labels that are mixed by weight, and the conditions of images that they ask for.

Legend: B images, K parts of an image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from numbers import Real
from typing import Any

import torch
import yaml

from vartk_registry import VartkError, shown
from vartk_registry.interfaces import Condition, Conditioner

from .conditions import mixed

EXAMPLE = '{a red apple: 0.7, "a basketball, flat style": 0.3}'


@dataclass(frozen=True, slots=True)
class Blends:
    """What each image is to show: one label, or several by weight.

    Attributes:
        parts: [B, K, ...], a conditioner's batch of the labels; the null condition fills up.
        weights: [B, K], which sum to 1 for each image; 0 where there is no label.
    """

    parts: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, labels: Sequence[Any], parse: Callable[[list[Any]], torch.Tensor]) -> Blends:
        """Return the blends that labels ask for.

        Args:
            labels: one an image; a mapping of labels to weights is a blend of them.
            parse: returns a batch for labels, on the model's device.

        Raises:
            VartkError: a weight is no number above 0; errors of `parse`.
        """
        rows = [_parts(label) for label in labels]
        most = max(len(row) for row in rows)
        filled = [row + [(None, 0.0)] * (most - len(row)) for row in rows]
        parts = parse([label for row in filled for label, _ in row]).unflatten(0, (len(rows), most))
        weights = [[weight for _, weight in row] for row in filled]
        return cls(parts, torch.tensor(weights, device=parts.device))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.weights)

    def __getitem__(self, rows: slice) -> Blends:
        return Blends(self.parts[rows], self.weights[rows])

    def dropped(self, conditioner: Conditioner) -> Blends:
        """Return blends of the null conditions of the parts."""
        everywhere = torch.ones(self.weights.numel(), dtype=torch.bool, device=self.weights.device)
        dropped = conditioner.drop(self.parts.flatten(0, 1), everywhere)
        return Blends(dropped.unflatten(0, self.weights.shape), self.weights)

    def condition(self, conditioner: Conditioner) -> Condition:
        """Return the condition of each image."""
        parts = conditioner(self.parts.flatten(0, 1))
        return parts if self.weights.shape[1] == 1 else mixed(parts, self.weights)


def between(start: Any, end: Any, share: float) -> Any:
    """Return the blend of two labels or blends; a share of 0 is the start, 1 the end."""
    weights: dict[Any, float] = {}
    for ends, of_ends in ((start, 1 - share), (end, share)):
        for label, weight in _parts(ends):
            if not isinstance(label, Hashable):
                raise VartkError(f"{shown(label)} is no label; give an index, a name or a prompt")
            if of_ends:
                weights[label] = weights.get(label, 0.0) + of_ends * weight
    return weights


def read_label(text: str) -> str | dict[str, float]:
    """Return the label that a text stands for: itself; or in braces, a blend of texts in one line of YAML.

    Raises:
        VartkError: a text in braces is no mapping of texts to weights.
    """
    if not (text.startswith("{") and text.endswith("}")):
        return text
    advice = f"write texts with weights in YAML, as in {EXAMPLE}; quote a text that has a comma or a colon"
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        pairs = [(_scalar(key), _scalar(value)) for key, value in node.value]
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise VartkError(f"{shown(text)} is no mapping of texts to weights: {advice}") from error
    weights: dict[str, float] = {}
    for label, weight in pairs:
        try:
            weights[label] = weights.get(label, 0.0) + float(weight)
        except ValueError as error:
            raise VartkError(
                f"{shown(label)} in {shown(text)} has no number as its weight: {advice}"
            ) from error
    _parts(weights)
    return weights


def line_of(label: Any) -> Any:
    """Return a label as a table holds it: a blend as a line of YAML for `read_label`, a pair as one text."""
    if isinstance(label, (tuple, list)):
        return ", ".join(str(line_of(end)) for end in label if end is not None)
    if not isinstance(label, Mapping):
        return label
    line = yaml.safe_dump(dict(label), default_flow_style=True, sort_keys=False, width=math.inf)
    return line.strip()


def title_of(label: Any, classes: Sequence[str]) -> str:
    """Return what an image of a label is called, classes by their names."""
    ends = label if isinstance(label, (tuple, list)) else [label]
    return str(line_of([classes[end] if isinstance(end, int) else end for end in ends]))


def _parts(label: Any) -> list[tuple[Any, float]]:
    """Return the parts of a label with their weights, which sum to 1."""
    if isinstance(label, (tuple, list)) and any(isinstance(end, Mapping) for end in label):
        chosen = [list(zip(*parts, strict=True)) for parts in product(*map(_parts, label))]
        return [(ends, math.prod(weights)) for ends, weights in chosen]
    if not isinstance(label, Mapping):
        return [(label, 1.0)]
    if not label:
        raise VartkError(f"a blend of nothing, {{}}, asks for no image; give labels with weights: {EXAMPLE}")
    for part, weight in label.items():
        if not isinstance(weight, Real) or isinstance(weight, bool) or not 0 < weight < math.inf:
            raise VartkError(
                f"the weight {shown(weight)} of {shown(part)} must be a number above 0; leave a label of no "
                "weight out, and give what the images are not to show as the negative label"
            )
    total = math.fsum(label.values())
    return [(part, float(weight / total)) for part, weight in label.items()]


def _scalar(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise TypeError(f"{node.tag} is no text and no number")
    return node.value
