"""The draw's kernel."""

import pytest
import torch

from vartk.engine.randomness import KeyedRandom
from vartk_registry.noise import offset

kernels = pytest.importorskip("vartk.engine.kernels", exc_type=ImportError)

pytestmark = [pytest.mark.gpu, pytest.mark.kernel]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("classes", [2, 100, 5000])  # one block, a part of one, two
def test_the_kernel_draws_what_the_race_draws(classes):
    generator = torch.Generator().manual_seed(0)
    keys = torch.empty(2, 60, dtype=torch.int64).random_(generator=generator).to(DEVICE)
    logits = 2 * torch.randn(2, 60, classes, generator=generator)
    logits[..., 1] = -torch.inf
    probabilities = logits.softmax(-1).to(DEVICE)
    random = KeyedRandom(keys)
    for call in range(2):
        found = kernels.race(probabilities, keys, offset(call))
        with torch.enable_grad():  # where the kernel is not taken
            expected = random.categorical(probabilities)
        assert torch.equal(found, expected)
        assert not (found == 1).any()
