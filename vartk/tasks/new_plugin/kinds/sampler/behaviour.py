"""What the sampler does."""

import torch

from my_plugin.sampler import MyComponent
from vartk_registry.testing import SeededRandom


def drawn(sampler):
    logits = torch.tensor([0.6, 0.3, 0.1]).log().expand(1, 300, 3)
    return set(sampler(logits, 0, 1, SeededRandom()).codes.flatten().tolist())


def test_improbable_codes_are_not_drawn():
    assert drawn(MyComponent(temperature=1.0, min_p=0.0)) == {0, 1, 2}
    assert drawn(MyComponent(temperature=1.0, min_p=0.4)) == {0, 1}
    assert drawn(MyComponent(temperature=1.0, min_p=1.0)) == {0}


def test_a_low_temperature_sharpens():
    assert drawn(MyComponent(temperature=0.1, min_p=0.1)) == {0}
