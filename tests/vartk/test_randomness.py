import pytest
import torch

from vartk.engine.randomness import randomness
from vartk_registry import UnknownName


def probabilities(batch):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 50, 3, 8, generator=generator).softmax(-1)


def test_per_image_draws_do_not_depend_on_the_batch():
    given = probabilities(3)
    batch = randomness("per_image", [5, 6, 7], "cpu")
    alone = randomness("per_image", [6], "cpu")
    for _ in range(2):  # the streams stay in step after each use
        assert torch.equal(batch.categorical(given)[1], alone.categorical(given[1:2])[0])
        assert torch.equal(batch.exponential(given)[1], alone.exponential(given[1:2])[0])


def test_per_image_draws_the_same_for_the_same_seed():
    codes = randomness("per_image", [5, 5, 6], "cpu").categorical(probabilities(1).expand(3, -1, -1, -1))
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])


def test_per_image_draws_as_often_as_the_probabilities_say():
    expected = torch.tensor([0.5, 0.0, 0.3, 0.2, 0.0])
    codes = randomness("per_image", [3, 4], "cpu").categorical(expected.expand(2, 20_000, 5))
    for image in codes:
        found = image.bincount(minlength=5) / 20_000
        assert found[1] == found[4] == 0
        assert (found - expected).abs().max() < 0.015


@pytest.mark.parametrize("policy", ["per_image", "shared"])
def test_nearly_the_same_probabilities_give_nearly_always_the_same_codes(policy):
    # half precision must be comparable with full; one number for a place in the distribution would not do
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 300, 4096, generator=generator)
    off = logits + 0.01 * torch.randn(logits.shape, generator=generator)
    first, second = (randomness(policy, [3, 4], "cpu").categorical(x.softmax(-1)) for x in (logits, off))
    assert (first == second).float().mean() > 0.97


def test_shared_is_the_originals_stream():
    given = probabilities(2)
    random = randomness("shared", [9, 1], "cpu")
    drawn, noise = random.categorical(given), random.exponential(given)

    with torch.random.fork_rng():
        torch.manual_seed(9)
        expected = torch.multinomial(given.view(-1, 8), 1, replacement=True).view(2, 50, 3)
        expected_noise = torch.empty_like(given).exponential_()
    assert torch.equal(drawn, expected)
    assert torch.equal(noise, expected_noise)


@pytest.mark.parametrize("policy", ["per_image", "shared"])
def test_shapes_and_ranges(policy):
    random = randomness(policy, [0, 1], "cpu")
    codes = random.categorical(probabilities(2))
    assert codes.shape == (2, 50, 3)
    assert codes.dtype == torch.int64
    noise = random.exponential(torch.empty(2, 5000))
    assert noise.shape == (2, 5000)
    assert noise.mean() == pytest.approx(1, abs=0.05)


def test_an_unknown_policy_names_the_nearest():
    with pytest.raises(UnknownName, match=r"'per-image'; did you mean 'per_image'\? .*shared"):
        randomness("per-image", [0], "cpu")


def test_one_seed_for_each_image_is_needed():
    with pytest.raises(ValueError, match="zip"):
        randomness("per_image", [0], "cpu").categorical(probabilities(2))
