"""What the guidance does: numbers worked out by hand."""

import torch

from my_plugin.guidance import MyComponent


def test_the_strength_grows():
    guidance = MyComponent(scale=4.0, power=2.0)
    assert [guidance.weight(step, 4) for step in range(4)] == [0.25, 1.0, 2.25, 4.0]


def test_logits_move_away_from_the_null_ones():
    mixed = MyComponent(4.0, 1.0).mix(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 3.0]), 2.0)
    assert mixed.tolist() == [3.0, 0.0]
