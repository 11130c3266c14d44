"""What the metric counts: numbers worked out by hand."""

import torch

from my_plugin.metric import MyComponent


def test_the_border_is_left_out():
    reference = torch.zeros(1, 3, 4, 4)
    found = torch.ones(1, 3, 4, 4)
    found[:, :, 1:3, 1:3] = 0.2
    numbers = {}
    for border in (0, 1):
        metric = MyComponent(border=border)
        metric.update(found, reference)
        numbers[border] = metric.compute()["mae_levels"]
    torch.testing.assert_close(numbers, {0: 255 * (12 + 0.8) / 16, 1: 255 * 0.2}, rtol=1e-6, atol=0)
