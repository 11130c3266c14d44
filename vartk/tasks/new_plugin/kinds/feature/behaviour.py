"""What the feature sees: numbers worked out by hand."""

import torch

from my_plugin.feature import MyComponent


def test_it_sees_the_mean_of_each_region():
    image = torch.zeros(1, 3, 4, 4)
    image[:, 0, :2, :2] = 1.0
    feature = MyComponent(side=2)
    assert feature.pooled(image).tolist() == [[1.0, *[0.0] * 11]]
    assert feature.distance(image, torch.zeros_like(image)).item() == torch.tensor(1 / 12).item()
