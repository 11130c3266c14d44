"""What the generator makes."""

import pytest
import torch

from my_plugin.generator import MyComponent
from vartk_registry import VartkError


def small():
    torch.manual_seed(0)
    return MyComponent(classes=["red", "blue"], image_size=(8, 12), tokenizer=None, width=8, steps=4)


def test_images_come_from_seeds():
    generator = small()
    states = list(generator.generate(generator.parse(["blue", 0]), [1, 2], steps=3))
    assert [(state.step, state.steps) for state in states] == [(0, 3), (1, 3), (2, 3)]
    assert states[-1].images().shape == (2, 3, 8, 12)


def test_training_lowers_the_error():
    generator, images = small(), torch.tensor([1.0, -1.0])[:, None, None, None].expand(2, 3, 8, 12)
    optimizer, errors = torch.optim.Adam(generator.parameters(), lr=1e-2), []
    for _ in range(20):
        errors.append(generator(images, torch.tensor([0, 1]), torch.Generator().manual_seed(0)).mean())
        optimizer.zero_grad()
        errors[-1].backward()
        optimizer.step()
    assert errors[-1] < errors[0]


def test_a_class_out_of_range_is_refused():
    with pytest.raises(VartkError, match="class 2 is out of range; give an index from 0 to 1"):
        small().parse([2])
