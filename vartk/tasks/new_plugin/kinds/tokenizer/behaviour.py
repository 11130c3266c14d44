"""What the tokenizer does."""

import pytest
import torch

from my_plugin.tokenizer import MyComponent
from vartk_registry import VartkError
from vartk_registry.interfaces import Schedule
from vartk_registry.testing import Codebook, check_tokenizer


def test_a_patch_is_a_cell_of_the_latent():
    tokenizer = MyComponent(quantizer=Codebook, patch=4, channels=6)
    assert tokenizer.latent_grid((8, 16)) == (2, 4)
    check_tokenizer(tokenizer, (8, 16), Schedule.of([1, (2, 4)]))


def test_an_image_that_patches_do_not_divide_is_refused():
    with pytest.raises(VartkError, match="10x16 pixels are not divided by patches of 4"):
        MyComponent(quantizer=Codebook, patch=4, channels=6).latent_grid((10, 16))


def test_training_lowers_the_error():
    torch.manual_seed(0)
    tokenizer = MyComponent(quantizer=Codebook, patch=4, channels=6)
    images, schedule = torch.rand(4, 3, 8, 8) - 0.5, Schedule.of([1, 2])
    optimizer = torch.optim.Adam(tokenizer.parameters(), lr=1e-2)
    errors = []
    for _ in range(20):
        output = tokenizer(images, schedule)
        errors.append((output.images - images).square().mean())
        optimizer.zero_grad()
        (errors[-1] + output.losses["quantizer"]).backward()
        optimizer.step()
    assert errors[-1] < errors[0]
