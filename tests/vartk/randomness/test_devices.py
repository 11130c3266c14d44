"""A seed means the same image on a CPU and on a GPU."""

import pytest
import torch
from tiny import tiny_model


@pytest.mark.gpu
@pytest.mark.parametrize("smooth", [False, True])
def test_a_cpu_and_a_gpu_draw_the_same_codes(smooth):
    """But for near ties, which are counted; the codes before a scale are those of the CPU."""
    model, labels = tiny_model(), [0, 1, 2] * 8
    expected = list(model.stream(labels, seed=3, smooth=smooth, precision="fp32"))
    model.to("cuda")
    alike = []
    for state, right in zip(
        model.stream(labels, seed=3, smooth=smooth, precision="fp32"), expected, strict=True
    ):
        alike.append((state.codes.cpu() == right.codes).flatten())
        state.vectors = right.vectors.cuda()
    assert torch.cat(alike).float().mean() > 0.99
