"""The classifier of the studies: what can be told apart by a line is."""

import torch

from vartk.evaluation.classifier import LinearClassifier


def test_what_can_be_told_apart_by_lines_is():
    features = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    labels = ((features[:, 0] > 0) + 2 * (features[:, 1] > 0)).tolist()
    seen = LinearClassifier(features, labels)(features)
    assert (seen == torch.tensor(labels)).float().mean() > 0.95
