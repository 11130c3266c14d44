"""Numbers that equal those of torch-fidelity's own functions on the same vectors."""

import pytest
import torch
from vectors import features, numbers

from vartk_plugins.distribution_metrics.score import InceptionScore

pytest.importorskip("torch_fidelity")

X, Y = features(1, 60, width=8).double(), features(3, 60, width=8).double()


def test_the_frechet_distance():
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    (expected,) = fid_statistics_to_metric(*map(fid_features_to_statistics, (X, Y)), verbose=False).values()
    assert numbers("fd", (X, Y))["fd"] == pytest.approx(expected, rel=1e-6)
    assert numbers("sfd", (X, Y))["sfd"] == pytest.approx(expected, rel=1e-6)


def test_the_kernel_distance():
    from torch_fidelity.metric_kid import kid_features_to_metric

    expected = kid_features_to_metric(X, Y, kid_subsets=1, kid_subset_size=60, verbose=False)
    found = numbers("kid", (X, Y))["kid"]
    assert found == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-6)


@pytest.mark.parametrize(("split", "splits"), [(5000, 1), (20, 3)])
def test_the_inception_score(split, splits):
    from torch_fidelity.metric_isc import isc_features_to_metric

    expected = isc_features_to_metric(3 * X, splits=splits)
    metric = InceptionScore(split)
    metric.update(3 * X, Y)
    found = metric.compute()
    assert found["is"] == pytest.approx(expected["inception_score_mean"], rel=1e-6)
    assert found["is_std"] == pytest.approx(expected["inception_score_std"], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("saving", [False, True])
def test_precision_and_recall(saving):
    from torch_fidelity.metric_prc import prc_features_to_metric

    for x, y in ((X, Y), (X, X + 2), (X[:30], Y), (X, X)):
        expected = prc_features_to_metric(
            x, y, prc_neighborhood=3, prc_batch_size=16, save_cpu_ram=saving, verbose=False
        )
        found = numbers("precision_recall", (x, y))
        assert found == {name: pytest.approx(expected[name], abs=1e-6) for name in ("precision", "recall")}
    assert 0 < numbers("precision_recall", (X, X + 2))["precision"] < 1  # and not at its ends alone


def test_parts_in_any_order_of_splitting_are_one_set():
    for name in ("is", "precision_recall", "density_coverage", "sfd"):
        parts = numbers(name, (X[:7], Y[:40]), (X[7:], Y[40:59]), (X[:0], Y[59:]))
        assert parts == pytest.approx(numbers(name, (X, Y)), rel=1e-9)


def test_float32_vectors_are_compared_in_float64():
    x, y = X.float(), Y.float()
    for name in ("fd", "kid", "precision_recall", "density_coverage"):
        assert numbers(name, (x, y)) == numbers(name, (x.double(), y.double()))
    assert torch.get_default_dtype() == torch.float32
