"""FasterVAR: one group worked out by hand and computed a second time, whole generations, calibration."""

import math
from dataclasses import replace

import pytest
import torch
from evicting import held_bytes, plan_of, scale
from tiny import tiny_model

from vartk.components import plugins
from vartk.tasks.calibrate import calibrate
from vartk_plugins.token_pruning.fastervar import drawn_places, projected, written
from vartk_plugins.token_pruning.ranks import needed
from vartk_registry import Unsupported, VartkError
from vartk_registry.interfaces import Schedule
from vartk_registry.noise import KeyedNoise

pytestmark = pytest.mark.usefixtures("one_thread")


def build(**params):
    return plugins().registry.build("cache", "fastervar", params)


def test_rows_are_mixtures_of_tokens_by_normal_numbers():
    # the normal quantiles of .5, .8413447 and .1586553 are 0, 1 and -1; two rows, so divided by sqrt 2
    uniform = torch.tensor([[[0.5, 0.8413447], [0.8413447, 0.1586553], [0.1586553, 0.5]]])
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]])
    expected = torch.tensor([[[-2.0, -3.0], [-2.0, -2.0]]]) / math.sqrt(2)
    torch.testing.assert_close(projected(x, uniform), expected, atol=1e-5, rtol=0)


def test_projected_tokens_keep_their_length_on_average():
    torch.manual_seed(0)
    x = torch.randn(1, 30, 4)
    rows = projected(x.expand(2000, -1, -1), KeyedNoise(torch.randint(2**62, (2000,))).uniform(3, (30, 10)))
    # E |Q^T x|^2 = |x|^2, with a relative deviation of at most sqrt(2 / (10 * 2000)) = .01
    torch.testing.assert_close(rows.square().sum((1, 2)).mean(), x.square().sum(), rtol=0.05, atol=0)


def test_places_come_in_proportion_to_the_energy():
    energy = torch.tensor([1.0, 0.0, 2.0, 5.0])
    x = energy.sqrt()[None, :, None].expand(20_000, -1, -1)
    places = drawn_places(x, KeyedNoise(torch.arange(20_000) * 2**33 + 7).uniform(0, (4,)), 2)
    pairs = (places[:, 0] * 10 + places[:, 1]).tolist()
    # one after another without replacement: {2, 3} is 2/8 * 5/6 + 5/8 * 2/3 = 5/8, and so on
    expected = {
        23: 2 / 8 * 5 / 6 + 5 / 8 * 2 / 3,
        3: 1 / 8 * 5 / 7 + 5 / 8 * 1 / 3,
        2: 1 / 8 * 2 / 7 + 2 / 8 * 1 / 6,
    }
    assert set(pairs) == set(expected)
    for pair, share in expected.items():
        assert pairs.count(pair) / 20_000 == pytest.approx(share, abs=0.015)


def test_rows_are_written_over_the_earlier_output_by_area():
    before = torch.tensor([[[[1.0, 3.0]]]])
    rows = torch.tensor([[[7.0], [8.0]]])
    # to 1x4: 1 1 3 3
    assert written(rows, torch.tensor([[0, 3]]), before, (1, 4)).flatten().tolist() == [7, 1, 3, 8]
    # to 2x3: 1, their mean 2, 3 in both rows
    assert written(rows, torch.tensor([[1, 5]]), before, (2, 3)).flatten().tolist() == [1, 7, 3, 1, 2, 8]


def by_loops(x, before, grid, ratio, noise, index, block):
    """A group of blocks, image by image and number by number."""
    n = x.shape[1]
    r = int(ratio * n) + 1
    drawn, q = noise.uniform(index, (n,)), noise.uniform(index + 1, (n, r))
    out = []
    for image, tokens in enumerate(x):
        normal = [[torch.special.ndtri(q[image, i, j]) / math.sqrt(r) for j in range(r)] for i in range(n)]
        rows = torch.stack([sum(normal[i][j] * tokens[i] for i in range(n)) for j in range(r)])
        rows = block(rows)
        h, w = grid
        above = before[image].unflatten(0, (1, 2))  # of a grid of 1x2
        whole = [above[0, column * 2 // w] for row in range(h) for column in range(w)]
        # the first to arrive, if each arrives after an exponential time with its energy as the rate
        times = [(-torch.log(drawn[image, i]) / tokens[i].square().sum()).item() for i in range(n)]
        places = sorted(sorted(range(n), key=lambda i: times[i])[:r])
        for place, row in zip(places, rows, strict=True):
            whole[place] = row
        out.append(torch.stack(whole))
    return torch.stack(out)


def test_a_group_equals_a_second_implementation():
    torch.manual_seed(0)
    noise = KeyedNoise(torch.randint(2**62, (3,)))
    plan = plan_of([(1, 2), (2, 4)], layers=3, batch=3)
    state = build(scales=1, ratios=[[0.4, 1]], group=2, drop_conditional=False).seeded(noise).start(plan)
    before, x = torch.randn(3, 2, 5), torch.randn(3, 8, 5)
    state.leave(1, 0, before)
    rows = state.enter(0, 1, x)
    assert rows.shape == (3, 4, 5)  # int(.4 * 8) + 1
    assert state.enter(1, 1, rows) is rows
    assert state.leave(0, 1, rows) is rows
    found = state.leave(1, 1, rows.tanh())
    index = 2 * (1 * 2 + 0)
    torch.testing.assert_close(found, by_loops(x, before, (2, 4), 0.4, noise, index, torch.tanh))
    assert state.enter(2, 1, found) is found  # a ratio of 1
    assert state.leave(2, 1, found) is found


def test_bytes_are_those_of_computed_rows_and_stored_outputs():
    plan = plan_of([1, 2, 4], layers=2, batch=4)
    state = build(scales=1, ratios=[[0.5, 0.25]], group=1).start(plan)
    token = 2 * plan.heads * plan.head_dim * 4  # k and v, fp32
    for step, counts in enumerate([(1, 1), (4, 4), (9, 5)]):
        samples = 4 if step < 2 else 2
        if step == 2:
            state.narrow(samples)
        for layer, count in enumerate(counts):
            x = state.enter(layer, step, torch.randn(samples, plan.schedule.sizes[step], 8))
            assert x.shape[1] == count
            state.append(layer, step, *(part[:samples] for part in scale(plan, step, count)))
            state.leave(layer, step, x)
        stored = 2 * samples * 4 * 8 * 4 if step == 1 else 0
        tokens = 4 * 2 * (1 + 4) if step < 2 else 2 * (2 * (1 + 4) + 9 + 5)
        assert state.nbytes() == tokens * token + stored == held_bytes(state)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"scales": 3, "ratios": [[0.1], [0.2]]}, "for scales=3; give a list of ratios for each of these"),
        ({"ratios": [[0], [0.2]]}, "skip a scale .* only the last scales can be skipped"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(params, message):
    with pytest.raises(VartkError, match=message):
        build(**params)


def test_what_does_not_fit_the_model_is_refused():
    with pytest.raises(VartkError, match="none of the 2 scales to compute in full; give at most 1"):
        build(scales=2).start(plan_of([1, 2]))
    with pytest.raises(VartkError, match=r"2 ratios for 3 groups of 2 blocks \(5 blocks in all\); give 3"):
        build(group=2, ratios=[[0.1, 0.2]]).start(plan_of([1, 2, 3], layers=5))
    state = build(scales=1).start(plan_of([1, 2]))
    with pytest.raises(Unsupported, match="does not call a cache's `enter` and `leave`"):
        state.select(0, "attention", 1, torch.randn(4, 4, 8))


def test_ratios_of_0_skip_the_last_scales():
    assert build(scales=3, ratios=[[0.4], [0], [0, 0]]).steps(Schedule.of([1, 2, 3, 4, 5])) == 3


@pytest.fixture(scope="module", params=["learned", "rope2d"])
def model(request):
    return tiny_model(
        **{"schedule.grids": [1, 2, 3, 4], "transformer.depth": 3, "transformer.positions": request.param}
    )


def cache(**params):
    return {"name": "fastervar", "group": 2, "scales": 2, **params}


def sampled(model, labels=(0, 1, 2), seed=0, **settings):
    return model.sample(list(labels), seed=seed, **{"attention": "eager", "precision": "plain", **settings})


def test_all_tokens_of_both_branches_are_exactly_the_full_cache(model):
    kept = sampled(model, cache=cache(ratios=[[1]], drop_conditional=False))
    assert torch.equal(kept.images, sampled(model).images)


class NullAtLast:
    """Draws the last two of four scales from the null logits, but needs both branches to the end."""

    def weight(self, step, steps):
        return 1.5 * step / (steps - 1) if step < 2 else -0.5

    def mix(self, conditional, null, weight):
        return null if weight == -0.5 else (1 + weight) * conditional - weight * null


def test_the_last_scales_are_drawn_from_the_null_branch(model, monkeypatch):
    dropped = sampled(model, cache=cache(ratios=[[1]]))
    recipe = model.recipe
    monkeypatch.setattr(model, "recipe", lambda *args: replace(recipe(*args), guidance=NullAtLast()))
    both = sampled(model)
    assert all(torch.equal(a, b) for a, b in zip(dropped.codes, both.codes, strict=True))
    assert not torch.equal(dropped.codes[3], sampled(model, cache=cache(drop_conditional=False)).codes[3])


def test_without_guidance_the_conditional_branch_stays(model):
    kept = sampled(model, cache=cache(ratios=[[1]]), guidance=0)
    assert torch.equal(kept.images, sampled(model, guidance=0).images)


def test_an_image_is_the_same_in_any_batch_and_its_seed_matters(model):
    settings = {"cache": cache(ratios=[[0.5, 0.3]])}
    alone = [sampled(model, [label], seed=label, **settings) for label in (0, 1, 2)]
    together = sampled(model, **settings)
    for step, codes in enumerate(together.codes):
        assert torch.equal(torch.cat([each.codes[step] for each in alone]), codes)
    greedy = {**settings, "sampler": "greedy"}
    first, second = (sampled(model, [0], seed=seed, **greedy).codes for seed in (0, 1))
    assert torch.equal(first[1], second[1])  # nothing is drawn there
    assert not torch.equal(torch.cat(first[2:], 1), torch.cat(second[2:], 1))


def test_scales_before_the_projected_ones_are_those_of_a_full_cache(model):
    full, faster = sampled(model), sampled(model, cache=cache())
    assert all(torch.equal(a, b) for a, b in zip(full.codes[:2], faster.codes[:2], strict=True))
    assert not torch.equal(full.codes[3], faster.codes[3])


@pytest.mark.parametrize("random", ["per_image", "shared"])
def test_what_the_cache_draws_leaves_the_draws_of_codes_alone(model, random):
    """With the logits of a full cache the codes would be those of a full cache."""
    settings = {
        "random": random,
        "sampler": {"name": "categorical", "temperature": 1e6, "top_k": 0, "top_p": 1},
    }
    full, faster = (
        sampled(model, cache=each, **settings) for each in ("full", cache(drop_conditional=False))
    )
    alike = torch.cat(full.codes, 1) == torch.cat(faster.codes, 1)
    assert alike.float().mean() > 0.98  # at this temperature the logits hardly matter


def test_calibration_counts_the_singular_values_that_hold_the_energy(model):
    # centred singular values 3, 2 and 1 (orthogonal columns of mean 0): shares of the squares 9, 13 and 14
    columns = torch.linalg.qr(torch.tensor([[1.0, 1, 1, 1], [1, -1, 0, 0], [0, 1, -1, 0], [0, 0, 1, -1]]).T)[
        0
    ]
    x = (columns[:, 1:] * torch.tensor([3.0, 2.0, 1.0]) + 5.0)[None]
    assert [needed(x, alpha).item() for alpha in (0.6, 0.65, 0.9, 0.95, 1.0)] == [1, 2, 2, 3, 3]


def test_calibrated_ratios_hold_the_models_tokens(model):
    settings = {"cache": {"name": "fastervar", "group": 2, "scales": 2, "alpha": 0.9}}
    bar = type("Bar", (), {"update": lambda *_: None})()
    name, found = calibrate(model, settings, 3, 0, lambda *_: bar)
    assert (name, found["scales"], found["group"]) == ("fastervar", 2, 2)
    ratios = torch.tensor(found["ratios"])
    assert ratios.shape == (2, 2)
    assert ((ratios > 0) & (ratios <= 1)).all()
    build(**found).start(plan_of([1, 2, 3, 4], layers=3))
    # more energy takes at least as many singular values
    settings["cache"]["alpha"] = 0.99
    assert (torch.tensor(calibrate(model, settings, 3, 0, lambda *_: bar)[1]["ratios"]) >= ratios).all()
