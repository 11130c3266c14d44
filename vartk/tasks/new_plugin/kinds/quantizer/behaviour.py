"""What the quantizer does: numbers worked out by hand."""

import torch

from my_plugin.quantizer import MyComponent


def test_the_nearest_entry_is_taken():
    quantizer = MyComponent(dim=1, classes=3, commitment=0.25)
    with torch.no_grad():
        quantizer.entries.weight.copy_(torch.tensor([[0.0], [1.0], [4.0]]))
    quantized = quantizer(torch.tensor([[0.4], [2.4], [2.6]]))
    assert quantized.codes.tolist() == [0, 1, 2]
    assert quantized.vectors.flatten().tolist() == [0.0, 1.0, 4.0]


def test_the_commitment_is_a_share_of_the_loss():
    quantizer = MyComponent(dim=1, classes=3, commitment=0.25)
    assert quantizer.loss(torch.tensor([1.0]), torch.tensor([3.0])).item() == 4 + 0.25 * 4
