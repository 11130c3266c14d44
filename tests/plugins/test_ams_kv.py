"""AMS-KV, by hand: a scale's values are its index, its keys 1 or, where they differ from the last, -1."""

import math

import pytest
import torch
from evicting import build, plan_of, run, scale

from vartk_plugins.scale_caches.ams_kv import similarity
from vartk_registry import VartkError
from vartk_registry.interfaces import Calibratable, Calibration
from vartk_registry.testing import check_cache

GRIDS = [1, 1, 2, (2, 3), 3, 4]
SIX = plan_of(GRIDS, layers=1)
ONES = [1, 1, 1, 1, 1, 1]
FLIPS = [1, -1, 1, -1, 1, -1]
FLIPS_AT_4 = [1, 1, 1, 1, -1, -1]

ALL_BUT_THE_LAST = [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]


def in_scales(**params):
    """Build the strategy without a bound on tokens."""
    return build("ams_kv", budget=1, **params)


def tokens(plan, step, value):
    """Return q, and k and v of one value each sample, [B, n, H, D]."""
    shape = (plan.batch, plan.schedule.sizes[step], plan.heads, plan.head_dim)
    return torch.as_tensor(value, dtype=plan.dtype).expand(shape[::-1]).permute(3, 2, 1, 0).clone()


def seen(cache, plan, signs, layer=0):
    """Return the scales that each scale sees of those before."""
    state, found = cache.start(plan), []
    for step, sign in enumerate(signs):
        k = tokens(plan, step, sign)
        _, v = state.append(layer, step, k, k, tokens(plan, step, step))
        older = v[0, : v.shape[1] - plan.schedule.sizes[step], 0, 0]
        found.append(sorted(set(older.int().tolist())))
    return found


@pytest.mark.parametrize(
    ("signs", "held"),
    [  # after each scale but the last; budgets of 3 and 4 scales, the first 2 locked
        (ONES, [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 1, 4]]),
        # used up at scale 3, where K differs from scale 2's: 4 from then on
        (FLIPS, [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 3, 4]]),
        # scale 2 is evicted before the keys differ
        (FLIPS_AT_4, [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 1, 3, 4]]),
    ],
)
def test_evictions(signs, held):
    assert seen(in_scales(), SIX, signs) == [[], *held]


@pytest.mark.parametrize(
    ("params", "signs", "held"),
    [
        # no room beside the locked ones: a scale that does not switch is not stored at all
        ({"c_min": 2}, ONES, [[0], [0, 1], [0, 1], [0, 1], [0, 1]]),
        ({"c_min": 2}, FLIPS, [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 3, 4]]),
        # and there is nothing to compare scale 4 with
        ({"c_min": 2}, FLIPS_AT_4, [[0], [0, 1], [0, 1], [0, 1], [0, 1]]),
        # without locked scales, a plain queue
        ({"condensed": 0, "c_min": 1, "c_max": 2}, ONES, [[0], [1], [2], [3], [4]]),
        ({"condensed": 0, "c_min": 1, "c_max": 2}, FLIPS, [[0], [0, 1], [1, 2], [2, 3], [3, 4]]),
        ({"condensed": 1, "c_min": 2, "c_max": 2}, FLIPS, [[0], [0, 1], [0, 2], [0, 3], [0, 4]]),
        ({"c_min": 5, "c_max": 5}, ONES, ALL_BUT_THE_LAST),
        # -2 is the similarity of opposite keys: not below
        ({"threshold": -2.0}, FLIPS, [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 1, 4]]),
    ],
)
def test_budgets(params, signs, held):
    assert seen(in_scales(**params), SIX, signs) == [[], *held]


def test_calibrated_layers_are_not_compared():
    plan = plan_of(GRIDS, layers=2)
    cache = in_scales(demanding=[1])
    assert seen(cache, plan, FLIPS, layer=0)[-1] == [0, 1, 4]
    assert seen(cache, plan, ONES, layer=1)[-1] == [0, 1, 3, 4]


@pytest.mark.parametrize(("first", "held"), [(FLIPS, [0, 1, 3, 4]), (ONES, [0, 1, 4])])
def test_the_first_image_decides(first, held):
    others = FLIPS if first is ONES else ONES
    batch = [[a, b, b, b] for a, b in zip(first, others, strict=True)]
    assert seen(in_scales(), SIX, batch)[-1] == held


def test_pruned_scales_are_not_compared():
    state = in_scales().start(SIX)
    for step, sign in enumerate(FLIPS):
        k = tokens(SIX, step, sign)[:, : 3 if step > 2 else None]
        seen_k, _ = state.append(0, step, k, k, k)
    assert seen_k.shape[1] == 1 + 1 + 3 + 3  # the condensed ones, scale 4, itself


def by_layer(cache, plan, sign):
    """Return what the last scale sees of those before, layer by layer, and the most bytes after a scale.

    Keys of neighbouring scales differ by the factor `sign`.
    """
    state, bytes_after, last = cache.start(plan), [], len(plan.schedule) - 1
    for step in range(last + 1):
        found = []
        for layer in range(plan.layers):
            k = tokens(plan, step, float(sign**step))
            _, v = state.append(layer, step, k, k, tokens(plan, step, step))
            older = v[0, : v.shape[1] - plan.schedule.sizes[step], 0, 0]
            found.append(sorted(set(older.int().tolist())))
        bytes_after.append(state.nbytes())
    return found, max(bytes_after)


@pytest.mark.parametrize(
    ("budget", "found"),
    [  # tokens of the scales: 1, 1, 4, 9, 16; in two layers the budget is 62 of them
        (1, [[0, 1, 2, 3], [0, 1, 3]]),
        # 18.6 in all: 1 + 1 + 9 in layer 0 leave 7.6, which is too little for 9, and enough for 4
        (0.3, [[0, 1, 3], [0, 1, 2]]),
        # 23.56: 11 leave 12.56. A share is 11.78, so that layer 0 cannot fill up with the 4
        (0.38, [[0, 1, 3], [0, 1, 3]]),
        # 31: a share of 15.5 has room for 15
        (0.5, [[0, 1, 2, 3], [0, 1, 3]]),
        # 4.96: 1 + 1 in each
        (0.08, [[0, 1], [0, 1]]),
    ],
)
def test_all_layers_together_have_a_budget_of_tokens(budget, found):
    plan = plan_of([1, 1, 2, 3, 4], layers=2)
    assert by_layer(build("ams_kv", demanding=[0], budget=budget), plan, 1)[0] == found


def test_what_fills_up_a_share_gives_way_to_the_newest_scale_of_other_layers():
    plan = plan_of([1, 1, (1, 3), (1, 4), (1, 9), (1, 21)], layers=2)
    # 39 tokens, 9.75 a layer: after the 4 of scale 3 both hold 1 + 1 + 3 + 4. With the 9 of scale 4 layer 0
    # has 11 of 19.5 if layer 1 has no more than 1 + 1 + 4
    found, _ = by_layer(build("ams_kv", demanding=[0, 1]), plan, 1)
    assert found == [[0, 1, 4], [0, 1, 3]]


VAR_256 = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
VAR_512 = (1, 2, 3, 4, 6, 9, 13, 18, 24, 32)


@pytest.mark.parametrize(
    ("grids", "newest", "older"),
    [
        # of 680 tokens 170 a layer: 1 + 4 + 169 in 15 of them leave 110, and 1 + 4 + 100 fit
        (VAR_256, 15, [0, 1, 7]),
        # of 2240, 560: 1 + 4 + 576 in 14 layers leave 826 for 1 + 4 + 324 in 2
        (VAR_512, 14, [0, 1, 7]),
        # 64 pixels in patches of 2x2, as tokens: 22 of 88
        ((1, 1, 1, 1, 2, 4, 8), 16, None),
    ],
    ids=["var-256", "var-512", "patched"],
)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("demanding", [None, list(range(8)), list(range(8, 16))])
def test_a_quarter_of_the_bytes_shows_nearly_every_layer_the_newest_scale(
    grids, newest, older, sign, demanding
):
    plan = plan_of(grids, layers=16, batch=2, heads=1, head_dim=2)
    found, most = by_layer(build("ams_kv", demanding=demanding), plan, sign)
    assert most <= 0.25 * build("full").start(plan).nbytes()
    assert [len(grids) - 2 in scales for scales in found] == [True] * newest + [False] * (16 - newest)
    assert all(scales == older for scales in found[newest:])
    assert all(scales[:2] == [0, 1] for scales in found)


def test_similarity_to_the_keys_of_the_scale_before():
    def keys(*values):
        return torch.tensor(values)[None, :, None, None]

    one = similarity(keys(1.0, 2.0), keys(1.0), (1, 1), (1, 2))
    assert one.tolist() == pytest.approx([-1 / math.sqrt(5)])  # |(0, 1)| / |(1, 2)|
    # half a cell in from the border: (0, 4) is (0, 1, 3, 4) on the finer grid
    assert similarity(keys(0.0, 1.0, 3.0, 4.0), keys(0.0, 4.0), (1, 2), (1, 4)).item() == 0
    apart = similarity(keys(3.0, 1.0, 0.0, 4.0), keys(0.0, 4.0), (1, 2), (1, 4))
    assert apart.tolist() == pytest.approx([-math.sqrt((9 + 0 + 9 + 0) / 26)])


def test_similarity_is_free_of_units_and_of_other_samples():
    k, before = torch.randn(3, 6, 2, 4), torch.randn(3, 2, 2, 4)
    whole = similarity(k, before, (1, 2), (2, 3))
    torch.testing.assert_close(similarity(10 * k, 10 * before, (1, 2), (2, 3)), whole)
    torch.testing.assert_close(similarity(k[1:2], before[1:2], (1, 2), (2, 3)), whole[1:2])


@pytest.mark.parametrize(("share", "demanding"), [(0, []), (0.25, [2]), (0.5, [0, 2]), (1, [0, 1, 2, 3])])
def test_calibration_finds_the_layers_whose_keys_differ_most(share, demanding):
    plan = plan_of(GRIDS, layers=4)
    strategy = build("ams_kv", demanding_share=share)
    assert isinstance(strategy, Calibratable)
    calibration = strategy.calibration()
    assert isinstance(calibration, Calibration)
    for _ in range(2):  # generations
        state = calibration.start(plan)
        for step in range(6):
            for layer, signs in enumerate((FLIPS_AT_4, ONES, FLIPS, [-1, 1, 1, 1, 1, 1])):
                k = tokens(plan, step, signs[step])  # scale 1 of the last layer is a condensed one
                state.append(layer, step, k, k, k)
    assert calibration.parameters() == {"demanding": demanding}
    build("ams_kv", **calibration.parameters()).start(plan)


def test_calibration_attends_as_a_full_cache():
    inputs = [[scale(SIX, step)] for step in range(6)]
    calibration = build("ams_kv").calibration()
    assert all(map(torch.equal, run(calibration, SIX, inputs), run(build("full"), SIX, inputs)))
    check_cache(build("ams_kv").calibration())


def test_what_cannot_be_is_said():
    with pytest.raises(VartkError, match="c_min=5, c_max=4; a budget must hold the condensed scales"):
        build("ams_kv", c_min=5)
    with pytest.raises(VartkError, match="condensed=4, c_min=3"):
        build("ams_kv", condensed=4)
    with pytest.raises(VartkError, match=r"demanding=\[7\] is of another model, this one has 1 layers"):
        build("ams_kv", demanding=[7]).start(SIX)
    with pytest.raises(VartkError, match="nothing was measured; sample images of more than 2 scales"):
        build("ams_kv").calibration().parameters()
