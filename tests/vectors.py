"""Vectors that look like a network's, and the metrics of sets."""

import torch

from vartk_registry import discover

REGISTRY = discover(["vartk_plugins.distribution_metrics"]).registry


def numbers(name, *batches):
    """Return what a metric computes of batches, all numbers."""
    metric = REGISTRY.build("metric", name, {})
    for found, reference in batches:
        metric.update(found, reference)
    return metric.compute()


def features(seed, count, width=5):
    """Correlated features, never below 0."""
    random = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=torch.Generator().manual_seed(7))
    return (torch.randn(count, width, generator=random) @ mix + 0.1 * seed).relu()
