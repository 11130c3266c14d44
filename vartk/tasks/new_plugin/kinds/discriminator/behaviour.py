"""What the discriminator gives."""

import torch

from my_plugin.discriminator import MyComponent


def test_a_logit_is_given_for_each_patch():
    logits = MyComponent(width=4, layers=3)(torch.rand(2, 3, 32, 48))
    assert logits.shape == (2, 4, 6)
