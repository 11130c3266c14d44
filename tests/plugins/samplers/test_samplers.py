import pytest
import torch
from torch.nn import functional as F

from vartk_plugins.samplers.boundary import by_radix, by_sort
from vartk_plugins.samplers.filter import filtered
from vartk_registry import ParamErrors, discover
from vartk_registry.testing import SeededRandom, check_sampler

registry = discover(["vartk_plugins.samplers"]).registry


def kept(logits):
    """The indices that a filter left."""
    return logits.isfinite().nonzero().flatten().tolist()


def logs(*probabilities):
    return torch.tensor(probabilities).log()


@pytest.mark.parametrize(
    ("top_k", "expected"),
    [
        (0, [0, 1, 2, 3, 4]),
        (1, [1, 3]),  # both are the largest
        (2, [1, 3]),
        (3, [1, 2, 3]),
        (4, [0, 1, 2, 3, 4]),  # the fourth largest is tied with the fifth
        (5, [0, 1, 2, 3, 4]),
        (900, [0, 1, 2, 3, 4]),
    ],
)
def test_top_k_keeps_ties_with_the_kth_largest(top_k, expected):
    assert kept(filtered(torch.tensor([1.0, 3.0, 2.0, 3.0, 1.0]), top_k=top_k)) == expected


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (0.0, [0, 1, 2, 3]),
        (0.3, [1]),  # ascending, the sums are .1, .3, .6 and 1: all but the last are <= .7
        (0.5, [1, 3]),
        (0.75, [0, 1, 3]),
        (1.0, [0, 1, 2, 3]),
        (1e-6, [1]),
    ],
)
def test_top_p_drops_the_least_likely(top_p, expected):
    assert kept(filtered(logs(0.2, 0.4, 0.1, 0.3), top_p=top_p)) == expected


def test_top_p_drops_a_class_whose_sum_is_exactly_the_rest():
    # four equals: the sums are exactly .25, .5, .75 and 1
    assert len(kept(filtered(torch.zeros(4), top_p=0.5))) == 2
    assert len(kept(filtered(torch.zeros(4), top_p=0.75))) == 3


def by_full_sort(logits, top_k, top_p):
    """The filter in the original's way: a sort of all classes."""
    if 0 < top_k < logits.shape[-1]:
        logits = logits.masked_fill(logits < logits.sort().values[..., -top_k, None], -torch.inf)
    if top_p == 0:
        return logits
    ascending, order = logits.sort(stable=True)
    removed = ascending.softmax(-1).cumsum(-1) <= 1 - top_p
    removed[..., -1] = False
    return logits.masked_fill(removed.scatter(-1, order, removed), -torch.inf)


@pytest.mark.parametrize("top_k", [0, 1, 7, 40])
@pytest.mark.parametrize("top_p", [0.0, 1e-9, 0.1, 0.5, 0.96, 1.0])
@pytest.mark.parametrize("classes", [2, 50, 1000])
def test_the_filter_keeps_what_a_full_sort_keeps(top_k, top_p, classes):
    logits = 2 * torch.randn(100, classes, generator=torch.Generator().manual_seed(0))
    for given in (logits, (4 * logits).round() / 4, logits / 1000):  # the second has many ties
        assert torch.equal(filtered(given, top_k=top_k, top_p=top_p), by_full_sort(given, top_k, top_p))


def test_both_ways_to_find_a_boundary_agree():
    logits = torch.randn(200, 300, generator=torch.Generator().manual_seed(0))
    logits[:, :50] = 0.25
    logits[:, 50:60] = -torch.inf
    probabilities = logits.softmax(-1)
    bounds = torch.rand(200, 1, generator=torch.Generator().manual_seed(1))
    expected = by_sort(logits, probabilities, bounds)
    for found, wanted in zip(by_radix(logits, probabilities, bounds), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_negative_zero_equals_a_positive_one():
    zeros = torch.tensor([0.0, -0.0, 0.0, -0.0])
    assert kept(filtered(zeros, top_p=0.5)) == [2, 3]
    assert kept(filtered(zeros, top_k=1)) == [0, 1, 2, 3]


def test_top_k_comes_before_top_p():
    sampler = registry.build("sampler", "categorical", {"top_k": 2, "top_p": 0.5})
    # of .3 and .4, .3 is 43 % and goes; had top-p come first, both would stay
    assert kept(sampler.filtered(logs(0.1, 0.2, 0.3, 0.4), 0, 1)) == [3]


def test_temperature_comes_before_top_p():
    sampler = registry.build("sampler", "categorical", {"temperature": 0.5, "top_p": 0.5})
    # squared and normalised: 1/30, 4/30, 9/30, 16/30; the sums are .03, .17, .47 and 1
    assert kept(sampler.filtered(logs(0.1, 0.2, 0.3, 0.4), 0, 1)) == [3]


def test_the_temperature_is_multiplied_at_each_scale_to_reach_that_of_the_last():
    sampler = registry.build("sampler", "categorical", {"temperature": 4.0, "final_temperature": 0.5})
    logits = torch.tensor([0.0, 8.0])
    for step, expected in ((0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0)):  # temperatures 4, 2, 1, 1/2
        assert sampler.filtered(logits, step, 4).tolist() == [0.0, pytest.approx(expected)]
    assert sampler.filtered(logits, 0, 1).tolist() == [0.0, 2.0]
    constant = registry.build("sampler", "categorical", {"temperature": 4.0})
    assert constant.filtered(logits, 3, 4).tolist() == [0.0, 2.0]


def test_each_row_is_filtered_on_its_own():
    logits = torch.tensor([[0.0, 1.0, 2.0], [5.0, 4.0, 3.0]])
    assert filtered(logits, top_k=1).isfinite().tolist() == [
        [False, False, True],
        [True, False, False],
    ]
    assert filtered(logits, top_p=0.1).isfinite().tolist() == [
        [False, False, True],
        [True, False, False],
    ]


def test_draws_follow_the_tempered_probabilities():
    logits = logs(0.1, 0.2, 0.3, 0.4).expand(1, 20_000, 4)
    for temperature, expected in ((1.0, [3, 6, 9, 12]), (0.5, [1, 4, 9, 16])):
        sampler = registry.build("sampler", "categorical", {"temperature": temperature})
        codes = sampler(logits, 0, 1, SeededRandom()).codes
        found = torch.bincount(codes.flatten(), minlength=4) / codes.numel()
        # five standard deviations of a frequency: 5 * sqrt(.25 / 20000)
        torch.testing.assert_close(found, torch.tensor(expected) / 30, atol=0.018, rtol=0)


def test_filtered_classes_are_never_drawn():
    sampler = registry.build("sampler", "categorical", {"top_k": 2})
    codes = sampler(logs(0.3, 0.2, 0.1, 0.4).expand(1, 1000, 4), 0, 1, SeededRandom()).codes
    assert codes.unique().tolist() == [0, 3]


def test_greedy_takes_the_most_likely():
    sampler = registry.build("sampler", "greedy", {})
    logits = torch.tensor([[[0.0, 2.0, 1.0], [3.0, 1.0, 2.0]]])
    assert sampler(logits, 0, 1, SeededRandom()).codes.tolist() == [[1, 0]]


@pytest.mark.parametrize("step", [0, 4, 9])
def test_gumbel_smooth_equals_torchs_gumbel_softmax(step):
    sampler = registry.build("sampler", "gumbel_smooth", {"top_k": 5})
    logits = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1))
    draw = sampler(logits, step, 10, SeededRandom(7))

    ratio = step / 9
    filtered = logits.masked_fill(logits < logits.sort().values[..., 3:4], -torch.inf)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        codes = torch.multinomial(filtered.softmax(-1).view(-1, 8), 1, replacement=True)
        tau = max(0.27 * (1 - ratio * 0.95), 0.005)
        weights = F.gumbel_softmax(filtered * (1 + ratio), tau=tau)
    assert torch.equal(draw.codes, codes.view(2, 3))
    torch.testing.assert_close(draw.weights, weights)
    assert (draw.weights > 0).sum(-1).max() <= 5


def test_gumbel_weights_sum_to_one_and_sharpen():
    sampler = registry.build("sampler", "gumbel_smooth", {})
    logits = torch.randn(1, 500, 16, generator=torch.Generator().manual_seed(1))
    peaks = []
    for step in range(5):
        weights = sampler(logits, step, 5, SeededRandom()).weights
        torch.testing.assert_close(weights.sum(-1), torch.ones(1, 500))
        peaks.append(weights.max(-1).values.mean().item())
    assert peaks == sorted(peaks)
    assert peaks[-1] > 0.98


def test_gumbel_codes_are_those_of_categorical():
    params = {"top_k": 6, "top_p": 0.9, "temperature": 0.8}
    logits = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1))
    plain = registry.build("sampler", "categorical", params)(logits, 1, 3, SeededRandom())
    smooth = registry.build("sampler", "gumbel_smooth", params)(logits, 1, 3, SeededRandom())
    assert torch.equal(plain.codes, smooth.codes)


def test_temperature_zero_is_refused():
    with pytest.raises(ParamErrors, match=r"temperature=0\.0 is out of range.* above 0"):
        registry.build("sampler", "categorical", {"temperature": 0})


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("greedy", {}),
        ("categorical", {}),
        ("categorical", {"top_k": 3, "top_p": 0.8, "temperature": 1.5}),
        ("gumbel_smooth", {}),
        ("gumbel_smooth", {"top_k": 3, "top_p": 0.8}),
    ],
)
def test_samplers_conform(name, params):
    check_sampler(registry.build("sampler", name, params))
