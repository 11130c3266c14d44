"""The fit of a text's vector to the vectors of classes."""

import torch

from vartk_plugins.text_conditioner.pooled import Pooled


def test_vectors_as_small_as_those_of_classes_are_learned_for_new_texts_too():
    """The vectors of the classes of emoji64 have a spread of 0.04, a twentieth of a new layer's outputs."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(45, 64, generator=generator)
    vectors = 0.04 * torch.randn(45, 32, generator=generator) + 1
    classes = torch.arange(45).repeat(24)
    features = 3 * (centers[classes] + 0.7 * torch.randn(len(classes), 64, generator=generator)) + 5
    torch.manual_seed(0)
    pooled = Pooled(64, 32)
    known, new = slice(0, 900), slice(900, None)
    told = pooled.fit(features[known], vectors[classes[known]], torch.zeros(32))
    made = pooled(features, torch.zeros(len(features), dtype=torch.bool)).detach()

    def explained(part):
        wanted = vectors[classes[part]]
        return 1 - (made[part] - wanted).square().sum() / (wanted - wanted.mean(0)).square().sum()

    assert abs(told - explained(known)) < 1e-4
    assert explained(known) > 0.95
    assert explained(new) > 0.85
