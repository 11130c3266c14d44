import numpy as np
import pytest
import torch
from vectors import REGISTRY, features, numbers

from vartk_registry import VartkError


def compute(name, *batches):
    return numbers(name, *batches)[name]


def test_the_frechet_distance_by_hand():
    corners = torch.tensor([[0.0, 0], [2, 0], [0, 2], [2, 2]])  # variances 4/3, no covariance
    assert compute("fd", (corners, corners)) == pytest.approx(0, abs=1e-12)
    assert compute("fd", (corners, corners + torch.tensor([3.0, 4]))) == pytest.approx(25)
    # standard deviations s and 3 s on both axes: 2 (s - 3 s)^2 = 8 s^2, and the mean moves by (2, 2)
    assert compute("fd", (corners, 3 * corners)) == pytest.approx(8 * 4 / 3 + 8)


def test_the_frechet_distance_where_covariances_do_not_commute():
    x, y = features(1, 40).double().numpy(), features(2, 30).double().numpy()
    a, b = np.cov(x.T), np.cov(y.T)
    eigenvalues = np.linalg.eigvals(a @ b)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b)
    expected -= 2 * np.sqrt(eigenvalues.real.clip(0)).sum()
    found = compute("fd", (features(1, 40), features(2, 30)))
    assert found == pytest.approx(expected, rel=1e-9)
    assert found == pytest.approx(compute("fd", (features(2, 30), features(1, 40))), rel=1e-9)


def test_the_frechet_distance_of_fewer_images_than_features():
    x, y = features(1, 4, width=16), features(2, 3, width=16)
    assert 0 < compute("fd", (x, y)) < float("inf")
    assert compute("fd", (x, x)) == pytest.approx(0, abs=1e-4)


def test_the_kernel_distance_by_hand():
    # D = 1: kernels (xy + 1)^3. Within {0, 1}: k(0, 1) = 1; within {1, 2}: k(1, 2) = 27;
    # between: k(0, 1) + k(0, 2) + k(1, 1) + k(1, 2) = 1 + 1 + 8 + 27
    x, y = torch.tensor([[0.0], [1]]), torch.tensor([[1.0], [2]])
    assert compute("kid", (x, y)) == pytest.approx(1 + 27 - 2 * 37 / 4)


def test_the_kernel_distance_pair_by_pair(monkeypatch):
    x, y = features(1, 7), features(2, 9)

    def kernel(a, b):
        return float((a.double() @ b.double() / 5 + 1) ** 3)

    within = [
        np.mean([kernel(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]) for s in (x, y)
    ]
    expected = sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])
    assert compute("kid", (x, y)) == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr("vartk_plugins.distribution_metrics.kernel._ROWS", 2)
    assert compute("kid", (x, y)) == pytest.approx(expected, rel=1e-9)


def test_the_kernel_distance_has_no_bias():
    """Of sets from one distribution it is 0 in the mean, whatever their sizes; FD is far above 0."""
    draw = torch.Generator().manual_seed(0)
    pairs = [torch.randn(2, 10, 3, generator=draw) for _ in range(300)]
    kernel = np.array([compute("kid", tuple(pair)) for pair in pairs])
    assert abs(kernel.mean()) < 3 * kernel.std() / np.sqrt(len(pairs))
    assert min(compute("fd", tuple(pair)) for pair in pairs) > 0


def test_the_frechet_distance_of_stored_moments():
    """Of moments that someone else computed, as published reference files hold them."""
    x, y = features(1, 40), features(2, 30).double()
    metric = REGISTRY.build("metric", "fd", {})
    metric.update(x, y[:0])
    metric.use_reference(torch.from_numpy(y.numpy().mean(0)), torch.from_numpy(np.cov(y.numpy().T)))
    assert metric.compute()["fd"] == pytest.approx(compute("fd", (x, y)), rel=1e-9)


def test_constant_images():
    """All alike, as a broken model makes them: no spread, and nothing is divided by it."""
    grey, black = torch.ones(6, 4), torch.zeros(8, 4)
    assert compute("fd", (grey, black)) == pytest.approx(4)
    assert compute("fd", (grey, grey)) == 0
    assert compute("kid", (grey, black)) == pytest.approx(8 + 1 - 2)  # k(grey, grey) = (1 + 1)^3, others 1


@pytest.mark.parametrize("name", ["fd", "kid"])
def test_features_that_are_not_finite_are_named(name):
    x = features(1, 6)
    x[2, 0], x[4, 1] = torch.nan, torch.inf
    with pytest.raises(VartkError, match=f"{name}: the vectors of 2 images of 6 have values that are not"):
        compute(name, (x, features(2, 6)))
    with pytest.raises(VartkError, match="2 images of 6"):
        compute(name, (features(2, 6), x))


@pytest.mark.parametrize("name", ["fd", "kid"])
def test_sets_of_two_sizes_may_come_in_any_parts(name):
    x, y = features(1, 12), features(2, 7)
    whole = compute(name, (x, y))
    parts = compute(name, (x[:5], y[:3]), (x[5:], y[3:6]), (x[:0], y[6:]))
    assert parts == pytest.approx(whole, rel=1e-7)
    with pytest.raises(VartkError, match=f"{name} needs at least 2 images a set, not 1 image"):
        compute(name, (x, y[:1]))
    with pytest.raises(VartkError, match="not 0 images"):
        compute(name)
