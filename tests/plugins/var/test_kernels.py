"""The kernels of a block."""

import math

import pytest
import torch
from torch.nn import functional as F

from vartk_plugins.var.blocks import MAX_SCALE, Attention

kernels = pytest.importorskip("vartk_plugins.var.kernels", exc_type=ImportError)

pytestmark = [pytest.mark.gpu, pytest.mark.kernel]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


@pytest.mark.parametrize("width", [32, 120])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_adaptive_norm(width, dtype):
    torch.manual_seed(0)
    x = 5 + 3 * torch.randn(2, 7, width, device=DEVICE)
    modulation = torch.randn(2, 1, 6, width, device=DEVICE)  # its parts are strided views
    scale, shift = modulation[:, :, 2], modulation[:, :, 4]
    found = kernels.adaptive_norm(x, scale, shift, 1e-6, dtype)
    expected = F.layer_norm(x.double(), (width,), eps=1e-6) * (1 + scale.double()) + shift.double()
    torch.testing.assert_close(found, expected.to(dtype), atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@pytest.mark.parametrize(("heads", "dims"), [(2, 16), (3, 20)])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_unit_heads(heads, dims, dtype):
    torch.manual_seed(0)
    attention = Attention(heads * dims, heads, l2_norm=True, dropout=0.0).to(DEVICE)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=3.0)  # some heads are past the bound
    x = torch.randn(2, 5, heads * dims, device=DEVICE)
    qkv = attention.qkv(x).unflatten(-1, (3, heads, dims)).detach()
    q, k = kernels.unit_heads(qkv.to(dtype), attention.log_scale, math.log(MAX_SCALE))
    with torch.enable_grad():  # where the kernel is not taken
        expected_q, expected_k, _ = attention.project(x)
    scale = attention.log_scale.clamp(max=math.log(MAX_SCALE)).exp()[:, None]
    torch.testing.assert_close(
        q / scale, (expected_q.detach() / scale).to(dtype), atol=TOLERANCE[dtype], rtol=0, check_dtype=False
    )
    torch.testing.assert_close(k, expected_k.detach().to(dtype), atol=TOLERANCE[dtype], rtol=0)


def test_a_vector_of_zeros_stays():
    qkv = torch.zeros(1, 1, 3, 2, 16, device=DEVICE)
    q, k = kernels.unit_heads(qkv, torch.zeros(2, device=DEVICE), 1.0)
    assert not q.any()
    assert not k.any()
