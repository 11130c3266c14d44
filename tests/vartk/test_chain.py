"""Chains of cache strategies: how they are written, what is refused, and what they do."""

import pytest
import torch
from tiny import tiny_model

from vartk.cli.main import main
from vartk.components import plugins
from vartk.config import Config, ConfigErrors, Layer, SamplingConfig, Slot, compose, parse_overrides, plain
from vartk.engine.cache import build_cache
from vartk_registry import VartkError
from vartk_registry.interfaces import AttendingState, CachePlan, MergingState, Schedule
from vartk_registry.testing import check_cache

PLAN = CachePlan(
    schedule=Schedule.of([1, 2, (2, 3)]),
    layers=2,
    batch=2,
    heads=2,
    head_dim=4,
    scale=1.0,
    dtype=torch.float32,
    device=torch.device("cpu"),
)


def composed(cache):
    return compose(SamplingConfig, [Layer("call", {"cache": cache})], plugins()).config.cache


def build(*parts):
    return build_cache(composed(list(parts)), plugins().registry)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def sampled(model, cache):
    return model.sample([0, 1, 2], cache=cache, precision="plain")


def test_the_command_line_and_python_say_the_same():
    typed = parse_overrides(["cache=[window,{name: fastvar, ratios: [0.5]}]"])
    from_command = compose(SamplingConfig, [typed], plugins()).config
    assert from_command.cache == composed(("window", {"name": "fastvar", "ratios": [0.5]}))
    assert [part["name"] for part in from_command.cache.params["parts"]] == ["window", "fastvar"]
    assert from_command.cache.params["parts"][1]["ratios"] == [0.5]
    assert from_command.cache.params["parts"][1]["last"] == -1  # a default, filled in


def test_a_chain_is_kept_and_read_again():
    config = compose(Config, [Layer("file", {"sampling": {"cache": ["window", "tome"]}})], plugins()).config
    tree = plain(config)
    assert tree["sampling"]["cache"]["name"] == "chain"
    assert compose(Config, [Layer("again", tree)], plugins()).config == config


def test_a_later_layer_replaces_a_chain():
    layers = [Layer("model", {"cache": ["window", "tome"]}), Layer("call", {"cache": "full"})]
    assert compose(SamplingConfig, layers, plugins()).config.cache == Slot(name="full")
    layers[1] = Layer("call", {"cache": ["sink", "fastvar"]})
    parts = compose(SamplingConfig, layers, plugins()).config.cache.params["parts"]
    assert [part["name"] for part in parts] == ["sink", "fastvar"]


def test_every_problem_has_the_path_of_its_part():
    cache = ["windwo", {"name": "fastvar", "ratio": [0.5]}, {"name": "tome", "ratios": [2]}, 3, {"last": 1}]
    with pytest.raises(ConfigErrors) as caught:
        composed(cache)
    unknown, parameter, range_, number, nameless = caught.value.problems
    assert "call: cache.parts[0]: unknown cache 'windwo'; did you mean 'window'?" in unknown
    assert "cache.parts[1].ratio of cache 'fastvar': unknown parameter 'ratio'; did you mean" in parameter
    assert "cache.parts[2].ratios of cache 'tome': ratios[0]=2.0 is out of range" in range_
    assert "cache.parts[3]=3 must be a component's name, or a mapping with its name" in number
    assert "cache.parts[4]={'last': 1} must be a component's name" in nameless


@pytest.mark.parametrize(
    ("cache", "message"),
    [
        ([], r"cache.parts\[0\]=None must be a component's name"),
        ({"name": "chain", "parts": ["full"], "last": 2}, "cache.last: a chain has no parameters of its own"),
        ([["full"], "tome"], r"cache.parts\[0\]=\['full'\] must be a component's name"),
    ],
)
def test_what_is_no_chain_is_refused(cache, message):
    with pytest.raises(ConfigErrors, match=message):
        composed(cache)


def test_other_slots_take_no_list():
    with pytest.raises(ConfigErrors, match=r"sampler=.* must be a component's name"):
        compose(SamplingConfig, [Layer("call", {"sampler": ["greedy", "categorical"]})], plugins())


def test_a_parameter_beside_a_list_is_refused():
    with pytest.raises(VartkError, match="is a list and takes no last beside it"):
        parse_overrides(["cache=[window,fastvar]", "cache.last=2"])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("window", "fastvar", "h2o"), "window and h2o each decide which keys and values are kept"),
        (("fastvar", "tome"), "fastvar and tome each decide which tokens are computed"),
    ],
)
def test_two_parts_cannot_decide_the_same(parts, message):
    with pytest.raises(VartkError, match=message):
        build(*parts)


def test_the_command_line_tells_a_conflict(tmp_path, capsys, model):
    import vartk

    vartk.save(model, tmp_path / "model")
    code = main(["sample", str(tmp_path / "model"), "cache=[window,sink]", "--out", str(tmp_path / "out")])
    assert code == 2
    assert "window and sink each decide" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "parts",
    [
        ("full", "fastvar"),
        ("fastvar", "window"),
        ("skip_last", "ams_kv", "fastvar"),
        ("skip_last",),
        ("skip_last", {"name": "fastvar", "ratios": [0.5]}),
        ("hack", "tome"),
        ("full", {"name": "fastvar", "ratios": [0, 0]}),
    ],
    ids=str,
)
def test_a_chain_keeps_the_contract_of_a_strategy(parts):
    chain = build(*parts)
    check_cache(chain)


def test_the_fewest_scales_are_generated():
    chain = build("skip_last", {"name": "fastvar", "ratios": [0.5, 1, 1]})
    assert chain.steps(Schedule.of([1, 2, 3, 4, 5])) == 3


def test_a_state_has_the_optional_methods_of_its_parts_alone():
    plain_state = build("window", "fastvar").start(PLAN)
    assert not isinstance(plain_state, (AttendingState, MergingState))
    both = build({"name": "hack", "contextual": [[0], [1]]}, {"name": "tome", "ratios": [0.5]}).start(PLAN)
    assert isinstance(both, AttendingState)
    assert isinstance(both, MergingState)


def test_keys_are_held_once():
    alone = build("full").start(PLAN).nbytes()
    chained = build("full", "fastvar").start(PLAN)
    k = torch.randn(2, 1, 2, 4)
    chained.append(0, 0, k, k, k)
    assert chained.nbytes() == alone


def test_each_part_does_its_own(model):
    fastvar = {"name": "fastvar", "ratios": [0.5]}
    same = sampled(model, ["full", fastvar]), sampled(model, fastvar)
    assert torch.equal(same[0].images, same[1].images)
    whole = sampled(model, [{"name": "window", "share": 1}, fastvar])
    assert all(torch.equal(a, b) for a, b in zip(whole.codes, same[1].codes, strict=True))
    windowed = sampled(model, [{"name": "window", "last": 0}, fastvar])
    only_windowed = sampled(model, {"name": "window", "last": 0})
    assert torch.equal(windowed.codes[1], only_windowed.codes[1])
    assert not torch.equal(windowed.codes[2], only_windowed.codes[2])
    assert not torch.equal(windowed.codes[2], same[1].codes[2])


def test_skipping_ends_the_others_early(model):
    chained = sampled(model, [{"name": "window", "last": 0}, "skip_last"])
    alone = sampled(model, {"name": "window", "last": 0})
    assert len(chained.codes) == 2
    assert all(torch.equal(a, b) for a, b in zip(chained.codes, alone.codes[:2], strict=True))


def test_a_chain_is_lossless_where_all_parts_are():
    assert build("full", {"name": "fastvar", "ratios": [0, 0]}).lossless
    assert not build("full", "fastvar").lossless
    assert not build("window", {"name": "skip_last", "scales": 0}).lossless


def test_a_part_has_what_calibration_measured_unless_it_is_given():
    measured = {"ams_kv": {"demanding": [1], "c_max": 5}}
    layers = [Layer("call", {"cache": [{"name": "ams_kv", "c_max": 4}, "fastvar"]})]
    parts = compose(SamplingConfig, layers, plugins(), measured).config.cache.params["parts"]
    assert (parts[0]["demanding"], parts[0]["c_max"]) == ([1], 4)
