"""The filter's kernel."""

import pytest
import torch

from vartk_plugins.samplers.filter import filtered

kernels = pytest.importorskip("vartk_plugins.samplers.kernels", exc_type=ImportError)

pytestmark = [pytest.mark.gpu, pytest.mark.kernel]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("top_k", [0, 1, 40])
@pytest.mark.parametrize("top_p", [0.0, 1e-9, 0.5, 0.96, 1.0])
def test_the_kernel_keeps_what_the_filter_keeps(top_k, top_p):
    logits = 2 * torch.randn(4, 100, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    logits[:, 3] = -torch.inf
    for given in (logits, (2 * logits).round() / 2, logits / 1000):  # the second has many ties
        with torch.enable_grad():  # where the kernel is not taken
            expected = filtered(given, top_k=top_k, top_p=top_p)
        assert torch.equal(kernels.filtered(given, top_k=top_k, top_p=top_p), expected)


def test_zeros_of_both_signs_are_tied():
    logits = torch.tensor([-1.0, 0.0, -0.0, 1.0] * 20, device=DEVICE)
    assert kernels.filtered(logits, top_k=30, top_p=0.0).isfinite().sum() == 60


def test_of_equals_the_first_ones_go():
    kept = kernels.filtered(torch.zeros(64, device=DEVICE), top_k=0, top_p=0.5).isfinite()
    assert kept.tolist() == [False] * 32 + [True] * 32


@pytest.mark.skipif(DEVICE == "cpu", reason="too many rows for the interpreter")
@pytest.mark.parametrize("classes", [64, 4096, 16384])
def test_many_rows(classes):
    logits = 3 * torch.randn(2048, classes, device=DEVICE)
    with torch.enable_grad():
        expected = filtered(logits, top_k=900, top_p=0.96)
    found = kernels.filtered(logits, top_k=900, top_p=0.96)
    # sums in another order may decide otherwise about a class at the bound
    assert (found != expected).any(-1).float().mean() < 0.01
