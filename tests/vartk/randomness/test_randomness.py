import pytest
import torch

from vartk.engine.randomness import randomness
from vartk_registry import UnknownName
from vartk_registry.interfaces import Schedule

TEN = Schedule(((1, 1), (5, 10), (3, 3)))
"""Scales of 1, 50 and 9 codes."""


def numbers(policy, seeds, schedule=TEN, code=()):
    return randomness(policy, seeds, schedule, code, "cpu")


def probabilities(batch, *code):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 50, *code, 8, generator=generator).softmax(-1)


def test_per_image_draws_do_not_depend_on_the_batch():
    given = probabilities(3, 4)
    batch, alone = (numbers("per_image", seeds, code=(4,)).at(1) for seeds in ([5, 6, 7], [6]))
    for _ in range(2):  # each use has numbers of its own, the same in both
        assert torch.equal(batch.categorical(given)[1], alone.categorical(given[1:2])[0])
        assert torch.equal(batch.exponential(given)[1], alone.exponential(given[1:2])[0])


def test_per_image_draws_the_same_for_the_same_seed():
    codes = numbers("per_image", [5, 5, 6]).at(1).categorical(probabilities(1).expand(3, -1, -1))
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])


def test_a_scale_has_its_numbers_whatever_was_drawn_before():
    given, one = probabilities(1), torch.ones(1, 1, 8) / 8
    first, second = numbers("per_image", [5]), numbers("per_image", [5])
    first.at(0).categorical(one)
    assert torch.equal(first.at(1).categorical(given), second.at(1).categorical(given))
    assert torch.equal(first.at(1).categorical(given), second.at(1).categorical(given))
    shorter = numbers("per_image", [5], Schedule(((1, 1), (5, 10))))
    assert torch.equal(shorter.at(1).categorical(given), second.at(1).categorical(given))


def test_scales_and_uses_have_different_numbers():
    schedule = Schedule(((5, 10), (5, 10)))
    random, like = numbers("per_image", [5], schedule), torch.empty(1, 50, 1000)
    first, second = random.at(0), random.at(1)
    noise = [first.exponential(like), first.exponential(like), second.exponential(like)]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        # a correlation of 50,000 independent pairs is within five standard deviations of zero
        pairs = torch.stack((noise[i].flatten(), noise[j].flatten()))
        assert torch.corrcoef(pairs)[0, 1].abs() < 5 / 50_000**0.5


@pytest.mark.parametrize("classes", [3, 5, 300, 1000])
def test_per_image_draws_as_often_as_the_probabilities_say(classes):
    generator = torch.Generator().manual_seed(classes)
    expected = torch.rand(classes, generator=generator).pow(3)
    expected[::4] = 0
    expected /= expected.sum()
    side = Schedule(((50, 50),))
    codes = numbers("per_image", range(20), side).at(0).categorical(expected.expand(20, 2500, classes))
    counts = codes.flatten().bincount(minlength=classes)
    assert counts[::4].sum() == 0
    often = expected * 50_000 > 5
    deviation = (counts - expected * 50_000)[often].square() / (expected * 50_000)[often]
    # chi-square has the mean of its degrees of freedom, and twice that as variance
    free = often.sum() - 1
    assert abs(deviation.sum() - free) < 5 * (2 * free) ** 0.5


def test_exponential_numbers_are_exponential():
    noise = numbers("per_image", [0], Schedule(((10, 10),))).at(0).exponential(torch.empty(1, 100, 10_000))
    assert noise.min() > 0
    ordered = noise.flatten().sort().values
    distance = (1 - (-ordered).exp() - torch.arange(1_000_000) / 1e6).abs().max()
    assert distance < 1.95 / 1000  # Kolmogorov and Smirnov at .1 % for a million numbers


def test_a_class_without_probability_is_never_drawn():
    # one class of probability 1 at any place, the others 0
    certain = torch.arange(50).remainder(8)
    one = torch.nn.functional.one_hot(certain, 8).float().expand(400, -1, -1)
    assert torch.equal(numbers("per_image", range(400)).at(1).categorical(one), certain.expand(400, -1))


@pytest.mark.parametrize("policy", ["per_image", "shared"])
def test_nearly_the_same_probabilities_give_nearly_always_the_same_codes(policy):
    # half precision must be comparable with full; one number for a place in the distribution would not do
    schedule = Schedule(((15, 20),))
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 300, 4096, generator=generator)
    off = logits + 0.01 * torch.randn(logits.shape, generator=generator)
    codes, changed = (
        numbers(policy, [3, 4], schedule).at(0).categorical(x.softmax(-1)) for x in (logits, off)
    )
    assert (codes == changed).float().mean() > 0.97


def test_shared_is_the_originals_stream():
    given = probabilities(2, 3)
    random = numbers("shared", [9, 1])
    drawn, noise = random.at(0).categorical(given), random.at(1).exponential(given)

    with torch.random.fork_rng():
        torch.manual_seed(9)
        expected = torch.multinomial(given.view(-1, 8), 1, replacement=True).view(2, 50, 3)
        expected_noise = torch.empty_like(given).exponential_()
    assert torch.equal(drawn, expected)
    assert torch.equal(noise, expected_noise)


@pytest.mark.parametrize("policy", ["per_image", "shared"])
def test_shapes_and_types(policy):
    random = numbers(policy, [0, 1], code=(3,)).at(1)
    codes = random.categorical(probabilities(2, 3))
    assert codes.shape == (2, 50, 3)
    assert codes.dtype == torch.int64
    assert random.exponential(probabilities(2, 3)).shape == (2, 50, 3, 8)


def test_an_unknown_policy_names_the_nearest():
    with pytest.raises(UnknownName, match=r"'per-image'; did you mean 'per_image'\? .*shared"):
        numbers("per-image", [0])


def test_one_seed_for_each_image_is_needed():
    with pytest.raises(ValueError, match=r"logits \(2, 50, 8\), .* 50 numbers for each of 1 images"):
        numbers("per_image", [0]).at(1).categorical(probabilities(2))
