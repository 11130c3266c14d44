"""The kernels of the tokenizer."""

import pytest
import torch
from torch.nn import functional as F

from vartk_plugins.var_vqvae.blocks import GROUPS, Norm

kernels = pytest.importorskip("vartk_plugins.var_vqvae.kernels", exc_type=ImportError)

pytestmark = [pytest.mark.gpu, pytest.mark.kernel]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


@pytest.mark.parametrize(
    ("shape", "dtype", "silu"),
    [
        ((2, 32, 5, 7), torch.float32, False),
        ((1, 160, 8, 8), torch.bfloat16, True),
        ((2, 320, 3, 3), torch.float16, True),
        ((2, 64, 1, 1), torch.float32, True),
        ((1, 32, 65, 33), torch.bfloat16, False),  # several tiles
    ],
    ids=str,
)
def test_group_norm(shape, dtype, silu):
    torch.manual_seed(0)
    # means far from 0: the mean of the squares less the square of the mean would lose the variance
    x = torch.randn(shape) + 20 * torch.randn(shape[1])[:, None, None]
    x = x.to(DEVICE, dtype, memory_format=torch.channels_last)
    weight, bias = torch.randn(2, shape[1], device=DEVICE)
    found = kernels.group_norm(x, weight, bias, groups=GROUPS, eps=1e-6, silu=silu, dtype=dtype)
    expected = F.group_norm(x.double(), GROUPS, weight.double(), bias.double(), 1e-6)
    expected = (F.silu(expected) if silu else expected).to(dtype)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("shape", "dtype", "silu"),
    [
        ((2, 32, 5, 7), torch.float32, False),
        ((2, 64, 3, 3), torch.float32, True),
        ((1, 32, 65, 33), torch.float32, True),  # several tiles
        ((1, 160, 8, 8), torch.bfloat16, True),
    ],
    ids=str,
)
def test_the_gradients_of_group_norm(shape, dtype, silu):
    torch.manual_seed(0)
    x = torch.randn(shape) + 5 * torch.randn(shape[1])[:, None, None]
    x = x.to(DEVICE, dtype, memory_format=torch.channels_last).requires_grad_()
    weight, bias = (each.requires_grad_() for each in torch.randn(2, shape[1], device=DEVICE).unbind())
    upstream = torch.randn(shape, device=DEVICE, dtype=dtype)  # not channels_last
    out = kernels.group_norm(x, weight, bias, groups=GROUPS, eps=1e-6, silu=silu, dtype=dtype)
    found = torch.autograd.grad(out, (x, weight, bias), upstream)
    exact = [each.detach().double().requires_grad_() for each in (x, weight, bias)]
    normal = F.group_norm(exact[0], GROUPS, *exact[1:], 1e-6)
    expected = torch.autograd.grad(F.silu(normal) if silu else normal, exact, upstream.double())
    assert found[0].dtype is dtype
    for ours, theirs in zip(found, expected, strict=True):
        bound = 10 * TOLERANCE[dtype]  # sums over all positions
        torch.testing.assert_close(ours.double(), theirs, atol=bound, rtol=bound)


@pytest.mark.skipif(DEVICE == "cpu", reason="the interpreter has no autocast for CUDA")
@pytest.mark.parametrize("silu", [False, True])
def test_a_norm_takes_its_kernel_in_sampling_and_in_training(silu):
    norm = Norm(64, silu=silu).cuda()
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(2, 64, 8, 8, device="cuda").to(memory_format=torch.channels_last)
    plain = norm(x.contiguous(memory_format=torch.contiguous_format))  # has no kernel
    for grad in (False, True):
        with torch.set_grad_enabled(grad), torch.autocast("cuda", torch.bfloat16):
            fused = norm(x.bfloat16())
        assert fused.dtype is torch.bfloat16  # torch's own norm gives float32 here
        assert fused.requires_grad is grad
        torch.testing.assert_close(fused.float(), plain, atol=5e-2, rtol=5e-2)
