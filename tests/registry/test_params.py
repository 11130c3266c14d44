from dataclasses import dataclass, field
from typing import Any

import pytest
from omegaconf import MISSING

from vartk_registry import ParamErrors, param
from vartk_registry.params import describe_range, merge_params


@dataclass(kw_only=True)
class Inner:
    size: int = 1
    name: str = "x"


@dataclass(kw_only=True, slots=True)
class Params:
    depth: int = param(4, "number of blocks", low=1, high=100)
    scale: float = param(1.5, "strength", above=0)
    mode: str = param("fast", "how", choices=("fast", "exact"), removed={"slow": "take 'exact'"})
    levels: list[int] = param([8, 5], "classes of each part", low=2)
    limit: int | None = param(None, "at most so many; null is no limit", low=0)
    flag: bool = param(False, "whether")
    when: Any = param("auto", "when", choices=("auto", True, False))
    inner: Inner = field(default_factory=Inner)


def merge(**params):
    return merge_params(Params, params, "thing 'x'")


def problems(config=Params, **params):
    with pytest.raises(ParamErrors) as error:
        merge_params(config, params, "thing 'x'")
    return error.value.problems


def test_defaults_are_plain_values():
    assert merge() == {
        "depth": 4,
        "scale": 1.5,
        "mode": "fast",
        "levels": [8, 5],
        "limit": None,
        "flag": False,
        "when": "auto",
        "inner": {"size": 1, "name": "x"},
    }
    assert type(merge()["levels"]) is list


def test_given_values_are_typed():
    merged = merge(depth="7", scale=2, levels=(3, 4), limit=0, flag="yes", inner={"size": 5})
    assert (merged["depth"], merged["levels"], merged["limit"]) == (7, [3, 4], 0)
    assert type(merged["scale"]) is float
    assert merged["flag"] is True
    assert merged["inner"] == {"size": 5, "name": "x"}


def test_a_merge_leaves_the_defaults_alone():
    merge(levels=[9])["levels"].append(1)
    assert merge()["levels"] == [8, 5]


def test_everything_wrong_is_said_at_once():
    with pytest.raises(ParamErrors) as error:
        merge(depht=3, depth=0, scale="big", mode="exakt", levels=[4, 1], flag="maybe")
    assert set(error.value.problems) == {"depht", "depth", "scale", "mode", "levels", "flag"}
    assert error.value.owner == "thing 'x'"
    lines = str(error.value).splitlines()
    assert len(lines) == 6
    assert all(line.startswith("thing 'x': ") for line in lines)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"depth": 0}, "depth=0 is out of range; it must be at least 1 and at most 100"),
        ({"depth": 101}, "depth=101 is out of range; it must be at least 1 and at most 100"),
        ({"scale": 0}, "scale=0.0 is out of range; it must be above 0"),
        ({"scale": float("nan")}, "scale=nan is out of range; it must be finite and above 0"),
        ({"scale": float("inf")}, "scale=inf is out of range; it must be finite and above 0"),
        ({"limit": -1}, "limit=-1 is out of range; it must be at least 0"),
        ({"levels": [4, 1]}, "levels[1]=1 is out of range; it must be at least 2"),
        ({"mode": "exakt"}, "mode='exakt'; did you mean 'exact'? Valid: exact, fast"),
        ({"when": "never"}, "when='never'. Valid: auto, false, true"),
        ({"mode": "slow"}, "mode='slow' has been removed; take 'exact'"),
    ],
)
def test_ranges_and_choices(params, message):
    assert list(problems(**params).values()) == [message]


@pytest.mark.parametrize("params", [{"depth": 1}, {"depth": 100}, {"limit": None}, {"scale": 1e-9}])
def test_bounds_belong_to_the_range(params):
    merge(**params)


@dataclass(kw_only=True)
class Kinds:
    number: float | None = None
    names: list[str] = field(default_factory=list)
    on: bool = False


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"number": "x"}, "number='x' must be a number, or null"),
        ({"names": "x"}, "names='x' must be a list of texts, as in [A,B]"),
        ({"on": "x"}, "on='x' must be true or false"),
    ],
)
def test_a_wrong_type_is_told_with_the_right_one(given, message):
    with pytest.raises(ParamErrors) as refused:
        merge_params(Kinds, given, "component")
    assert list(refused.value.problems.values()) == [message]


def test_wrong_types_are_said_in_one_line():
    for params in ({"depth": 2.5}, {"depth": None}, {"levels": 3}, {"inner": {"sise": 1}}):
        (key,) = params
        text = problems(**params)[key]
        assert text.startswith((f"{key}: ", f"{key}="))
        assert "\n" not in text


def test_an_unknown_key_gets_the_nearest():
    assert problems(dept=1)["dept"].startswith(
        "unknown parameter 'dept'; did you mean 'depth'? Valid: depth, flag"
    )


def test_a_key_that_is_no_text_is_an_unknown_key():
    with pytest.raises(ParamErrors, match="unknown parameter 3"):
        merge_params(Params, {3: 1}, "x")


def test_a_component_without_parameters_says_so():
    assert merge_params(None, {}, "x") == {}
    assert problems(None, a=1) == {"a": "unknown parameter 'a'; it takes no parameters."}


def test_a_required_parameter_must_be_given():
    @dataclass(kw_only=True)
    class Folder:
        path: str = param(MISSING, "the folder of the images")
        size: int
        crop: bool = param(False, "whether")

    assert problems(Folder) == {
        "path": "path must be given: the folder of the images",
        "size": "size must be given",
    }
    assert merge_params(Folder, {"path": "a", "size": 1}, "x")["path"] == "a"


def test_a_default_out_of_its_own_range_is_found():
    @dataclass
    class Wrong:
        a: int = param(0, "a", low=1)

    assert "out of range" in problems(Wrong)["a"]


def test_defaults_of_lists_are_copied():
    given = [1, 2]

    @dataclass
    class Listed:
        a: list[int] = param(given, "a")

    assert Listed().a == given
    assert Listed().a is not given


def test_describe_range_reads_as_words():
    assert describe_range({"low": 0, "high": 1}) == "at least 0 and at most 1"
    assert describe_range({"above": 0.5}) == "above 0.5"
    assert describe_range({}) == ""
