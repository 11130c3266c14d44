"""Precision, recall, density, coverage and the Inception score, by hand and pair by pair."""

import math

import numpy as np
import pytest
import torch
from vectors import features, numbers

from vartk_registry import VartkError

LINE = torch.arange(8.0)[:, None]
"""Reference images at 0, 1, ..., 7: balls of k = 3 reach 2 to 3 away, those of k = 5 from 3 to 5."""


def test_precision_and_recall_by_hand():
    # the radii of k = 3: 3 at the ends, 2 elsewhere; 7 reaches to 10
    found = torch.tensor([[3.0], [9.5], [10.5], [50], [51], [52]])
    made = numbers("precision_recall", (found, LINE))
    assert made["precision"] == pytest.approx(2 / 6)
    # the radii of the found images: 3 -> 47, 9.5 -> 40.5, 10.5 -> 39.5, ...; all references are inside
    assert made["recall"] == 1


def test_density_and_coverage_by_hand():
    # radii of k = 5: 5, 4, 3, 3, 3, 3, 4, 5; 3.0 lies in the open balls of 0 (5), 1 (4), 2 (3), ..., 6 (4),
    # 7 (5): all eight; 20 lies in none
    found = torch.tensor([[3.0], [20], [21], [22], [23], [24]])
    made = numbers("density_coverage", (found, LINE))
    assert made["density"] == pytest.approx(8 / (5 * 6))
    assert made["coverage"] == 1
    far = numbers("density_coverage", (found + 30, LINE))
    assert far == {"density": 0, "coverage": 0}


def test_density_and_coverage_pair_by_pair(monkeypatch):
    x, y = features(1, 6), features(2, 31) + 0.5
    a, b = x.double().numpy(), y.double().numpy()
    between = np.linalg.norm(a[:, None] - b[None], axis=2)
    radii = np.sort(np.linalg.norm(b[:, None] - b[None], axis=2), axis=1)[:, 5]
    inside = between < radii
    expected = {"density": inside.sum() / (5 * len(x)), "coverage": inside.any(axis=0).mean()}
    assert 0 < expected["coverage"] < 1
    for rows in (512, 4):
        monkeypatch.setattr("vartk_plugins.distribution_metrics.manifold._ROWS", rows)
        assert numbers("density_coverage", (x, y)) == pytest.approx(expected)


def test_the_inception_score_by_hand():
    sure = torch.eye(4).repeat(5, 1) * 1000  # four classes, each as often and certain
    assert numbers("is", (sure, sure))["is"] == pytest.approx(4)
    assert numbers("is", (sure[:1].repeat(20, 1), sure))["is"] == pytest.approx(1)  # one class alone
    unsure = torch.zeros(20, 4)
    assert numbers("is", (unsure, sure)) == {"is": pytest.approx(1), "is_std": 0}


def test_images_class_by_class_have_mixed_splits():
    """Files often hold one class after the other; splits of few classes would score too low."""
    labels = torch.arange(8).repeat_interleave(2500)
    found = numbers("is", (torch.nn.functional.one_hot(labels, 8) * 50.0, torch.zeros(2, 8)))
    assert found["is"] == pytest.approx(8, abs=0.02)


def test_constant_images():
    grey, other = torch.ones(9, 3), torch.full((9, 3), 0.3)
    assert numbers("precision_recall", (grey, grey)) == {"precision": 1, "recall": 1}
    assert numbers("precision_recall", (grey, other)) == {"precision": 0, "recall": 0}
    assert numbers("density_coverage", (grey, grey)) == {"density": 0, "coverage": 0}  # the balls are open


def test_too_few_images_are_refused():
    x = features(1, 5)
    with pytest.raises(VartkError, match="precision_recall needs at least 4 images a set, not 3 images"):
        numbers("precision_recall", (x, x[:3]))
    with pytest.raises(VartkError, match="density_coverage needs at least 6 images a set, not 5 images"):
        numbers("density_coverage", (x, x))
    with pytest.raises(VartkError, match="is needs at least 2 images a set, not 1 image"):
        numbers("is", (x[:1], x))
    broken = x.clone()
    broken[1] = math.nan
    for name in ("is", "precision_recall"):
        with pytest.raises(VartkError, match="1 image of 5 have"):
            numbers(name, (broken, x))
