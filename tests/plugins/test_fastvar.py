"""FastVAR and skipped scales: selection and restoration worked out by hand, any grid, whole generations."""

import pytest
import torch
from evicting import held_bytes, plan_of, scale
from tiny import tiny_model

from vartk.components import plugins
from vartk_registry import VartkError
from vartk_registry.interfaces import Schedule


def build(name="fastvar", **params):
    return plugins().registry.build("cache", name, params)


def started(grids, batch=1, layers=1, **params):
    return build(**params).start(plan_of(grids, batch=batch, layers=layers))


def tokens(*rows):
    """Return x [1, n, C]."""
    return torch.tensor([rows], dtype=torch.float32)


def test_the_tokens_farthest_from_the_mean_are_computed():
    state = started([1, 2, (2, 3)], ratios=[0.7])
    # mean (2, 1); squared distances 4, 1, 0, 10, 5, 4: of 6 tokens 6 - int(4.2) = 2 are computed
    x = tokens((0, 1), (2, 0), (2, 1), (5, 2), (1, -1), (2, 3))
    assert x.mean(1).tolist() == [[2, 1]]
    assert state.select(0, "ffn", 2, x).tolist() == [[3, 4]]


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, 5), (0.1, 5), (0.2, 4), (0.5, 3), (0.99, 1)])
def test_how_many_are_computed(ratio, kept):
    state = started([1, (1, 5)], ratios=[ratio])
    chosen = state.select(0, "attention", 1, torch.randn(1, 5, 3))
    assert (5 if chosen is None else chosen.shape[1]) == kept  # 5 - int(5 ratio)


def test_each_image_has_tokens_of_its_own():
    state = started([1, (1, 3)], batch=2, ratios=[0.7])
    x = torch.cat((tokens((9,), (0,), (0,)), tokens((0,), (0,), (9,))))
    assert state.select(0, "ffn", 1, x).tolist() == [[0], [2]]


def test_what_is_not_computed_comes_from_the_coarser_scale_by_area():
    state = started([(1, 2), (1, 4), (2, 3)], ratios=[0.5, 0.5])
    state.restore(0, "ffn", 0, tokens((1,), (3,)), None)
    # to 1x4: 1 1 3 3, the computed ones over it
    restored = state.restore(0, "ffn", 1, tokens((7,), (8,)), torch.tensor([[0, 2]]))
    assert restored.flatten().tolist() == [7, 1, 8, 3]
    # to 2x3: columns cover 0..2/3, 2/3..4/3 and 4/3..2 of the two: 1, their mean 2, 3
    restored = state.restore(0, "ffn", 2, tokens((7,), (8,), (9,)), torch.tensor([[0, 1, 5]]))
    assert restored.flatten().tolist() == [7, 8, 3, 1, 2, 9]


def test_sub_layers_and_layers_are_stored_apart():
    state = started([1, (1, 2)], layers=2, ratios=[0.5])
    for index, (layer, branch) in enumerate((layer, b) for layer in (0, 1) for b in ("attention", "ffn")):
        state.restore(layer, branch, 0, tokens((index,)), None)
    for index, (layer, branch) in enumerate((layer, b) for layer in (0, 1) for b in ("attention", "ffn")):
        restored = state.restore(layer, branch, 1, tokens((9,)), torch.tensor([[1]]))
        assert restored.flatten().tolist() == [index, 9]


def test_other_layers_compute_everything():
    state = started([1, 2], layers=4, ratios=[0.5], first=1, last=-2)
    x = torch.randn(1, 4, 3)
    assert [state.select(layer, "ffn", 1, x) is None for layer in range(4)] == [True, False, False, True]
    assert list(build(depth=[0.1, 0.85]).layers(32)) == list(range(3, 27))  # 31 * .1 and .85, rounded


def test_ratios_are_of_the_last_scales_or_from_a_point_of_the_schedule_on():
    assert build(ratios=[0.4, 0.5]).by_scale(5) == [0, 0, 0, 0.4, 0.5]
    spaced = build(ratios=[0.4, 0.5], starts=[0.5, 1.0])
    assert spaced.by_scale(5) == [0, 0, 0.4, 0.4, 0.5]
    assert spaced.by_scale(3) == [0, 0.4, 0.5]


def test_a_ratio_of_1_at_the_end_skips_scales():
    schedule = Schedule.of([1, 2, 3, 4])
    assert build(ratios=[0.4, 1, 1]).steps(schedule) == 2
    assert build("skip_last", scales=3).steps(schedule) == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"ratios": [1, 0.5]}, "skips a scale .* only the last scales can be skipped"),
        ({"ratios": [0.5], "starts": [0.1, 0.2]}, "2 starts for 1 ratios"),
        ({"ratios": [0.4, 0.5], "starts": [0.8, 0.2]}, r"starts=\[0.8, 0.2\] must grow"),
        ({"depth": [0.5]}, r"depth=\[0.5\] must be two points"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(params, message):
    with pytest.raises(VartkError, match=message):
        build(**params)


def test_what_does_not_fit_the_model_is_refused():
    with pytest.raises(VartkError, match="none of the 2 scales to compute in full; give at most 1"):
        build(ratios=[0.5, 0.5]).steps(Schedule.of([1, 2]))
    with pytest.raises(VartkError, match="first=0, last=5 are no layers of this model; they are 0 to 1"):
        build(last=5).start(plan_of([1, 2, 3]))
    with pytest.raises(VartkError, match="leaves none of the 2 scales; give at most 1"):
        build("skip_last", scales=2).steps(Schedule.of([1, 2]))


def test_bytes_are_those_of_computed_tokens_and_stored_outputs():
    plan = plan_of([1, 2, (2, 3)], layers=2)
    state = build(ratios=[0.5], first=1).start(plan)
    token = 2 * plan.batch * plan.heads * plan.head_dim * 4  # k and v, fp32
    for step, counts in enumerate([(1, 1), (4, 4), (6, 3)]):
        for layer, count in enumerate(counts):
            state.append(layer, step, *scale(plan, step, count))
            for branch in ("attention", "ffn"):
                x = torch.randn(plan.batch, plan.schedule.sizes[step], 8)
                kept = state.select(layer, branch, step, x)
                state.restore(layer, branch, step, x[:, :count].clone(), kept)
        stored = 2 * plan.batch * 4 * 8 * 4 if step == 1 else 0  # two sub-layers of one layer
        assert state.nbytes() == (1 + 4 + 6 + 1 + 4 + 3) * token + stored == held_bytes(state)


def test_narrow_keeps_the_first_samples_of_what_is_stored():
    state = started([1, (1, 2)], batch=2, ratios=[0.5])
    state.restore(0, "ffn", 0, torch.tensor([[[1.0]], [[2.0]]]), None)
    state.narrow(1)
    restored = state.restore(0, "ffn", 1, tokens((9,)), torch.tensor([[0]]))
    assert restored.flatten().tolist() == [9, 1]


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def sampled(model, labels=(0, 1, 2), seed=0, **settings):
    return model.sample(list(labels), seed=seed, **{"attention": "eager", "precision": "plain", **settings})


@pytest.mark.parametrize("cache", [{"name": "fastvar", "ratios": [0, 0]}, {"name": "skip_last", "scales": 0}])
def test_nothing_left_out_is_exactly_the_full_cache(model, cache):
    assert torch.equal(sampled(model, cache=cache).images, sampled(model).images)


def test_pruning_changes_the_finest_codes_alone(model):
    full, pruned = sampled(model), sampled(model, cache={"name": "fastvar", "ratios": [0.75]})
    assert all(torch.equal(a, b) for a, b in zip(full.codes[:2], pruned.codes[:2], strict=True))
    assert not torch.equal(full.codes[2], pruned.codes[2])


@pytest.mark.parametrize("cache", [{"name": "fastvar", "ratios": [1]}, {"name": "skip_last", "scales": 1}])
def test_a_skipped_scale_adds_nothing_to_the_image(model, cache):
    full, skipped = sampled(model), sampled(model, cache=cache)
    assert len(skipped.codes) == 2
    assert all(torch.equal(a, b) for a, b in zip(full.codes[:2], skipped.codes, strict=True))
    decoded = model.decode(skipped.codes)  # in [-1, 1]
    assert torch.allclose(skipped.images, (decoded + 1) / 2, atol=1e-6)


@pytest.mark.parametrize("cache", ["fastvar", "tome"])
def test_no_batch_leaves_anything_to_the_next(model, cache):
    cache = {"name": cache, "ratios": [0.5]}
    alone = [sampled(model, [label], seed=label, cache=cache).images for label in (0, 1, 2)]
    together = sampled(model, cache=cache).images
    again = sampled(model, [2], seed=2, cache=cache).images
    assert torch.allclose(torch.cat(alone), together, atol=1e-5)
    assert torch.equal(again, alone[2])


@pytest.mark.parametrize("cache", ["fastvar", "tome"])
def test_guidance_halves_are_kept_apart(model, cache):
    """The conditional half with guidance too small to count is that without any."""
    cache = {"name": cache, "ratios": [0.5]}
    guided = sampled(model, cache=cache, guidance=1e-30)
    assert torch.equal(guided.codes[2], sampled(model, cache=cache, guidance=0).codes[2])


@pytest.mark.parametrize("cache", ["fastvar", "tome"])
def test_grids_need_not_be_square_nor_the_null_branch_last(model, cache):
    schedule = [1, (1, 2), (1, 3), (2, 4), 4]
    settings = {
        "schedule": schedule,
        "cache": {"name": cache, "ratios": [0.5, 0.75, 0.6]},
        "guidance": {"name": "constant", "stop": 0.8},
    }
    full = sampled(model, schedule=schedule, guidance=settings["guidance"])
    pruned = sampled(model, **settings)
    assert [code.shape[1] for code in pruned.codes] == [1, 2, 3, 8, 16]
    assert torch.equal(full.codes[1], pruned.codes[1])
    assert any(not torch.equal(a, b) for a, b in zip(full.codes, pruned.codes, strict=True))
