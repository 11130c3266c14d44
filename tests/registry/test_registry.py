"""The registry, with components of this module's own."""

import sys
from dataclasses import dataclass
from types import ModuleType

import pytest

from vartk_registry import (
    ComponentSpec,
    MissingRequirement,
    ParamErrors,
    PluginError,
    Registry,
    UnknownName,
    VartkError,
    param,
)


@dataclass(kw_only=True)
class Params:
    scale: float = param(2.0, "strength", low=0)


class Guide:
    def __init__(self, scale, offset=0.0):
        self.scale = scale + offset

    def weight(self, step, steps):
        return self.scale

    def mix(self, conditional, null, weight):
        return conditional


class Half:
    def __init__(self, scale):
        pass

    def weight(self, step, steps):
        return 0.0


@pytest.fixture(autouse=True)
def module(monkeypatch):
    """The module that the specs' targets name."""
    module = ModuleType("acme_guides")
    module.Params, module.Guide, module.Half = Params, Guide, Half
    monkeypatch.setitem(sys.modules, "acme_guides", module)


def spec(name="steady", **changes):
    fields = {"target": "acme_guides:Guide", "config": "acme_guides:Params", "summary": "s"}
    return ComponentSpec(**{"kind": "guidance", "name": name, **fields, **changes})


def registry(*specs, distribution="acme"):
    made = Registry()
    made.add(specs, distribution)
    return made


def test_a_component_is_built_from_defaults_parameters_and_runtime_arguments():
    known = registry(spec())
    assert known.build("guidance", "steady", {}).scale == 2.0
    assert known.build("guidance", "steady", {"scale": 3}, offset=0.5).scale == 3.5


def test_an_alias_finds_the_component_and_is_not_listed():
    known = registry(spec(aliases=("stable", "flat")))
    assert known.find("guidance", "flat") is known.find("guidance", "steady")
    assert known.names("guidance") == ["steady"]
    assert len(known.specs()) == 1


def test_components_are_listed_by_kind_then_name():
    known = registry(spec("b"), spec("a"), spec("z", kind="schedule"), spec("a", kind="sampler"))
    listed = [(spec.kind, spec.name) for spec in known.specs()]
    assert listed == [("schedule", "z"), ("guidance", "a"), ("guidance", "b"), ("sampler", "a")]


def test_an_unknown_name_gets_the_nearest_and_the_list():
    known = registry(spec("steady"), spec("cosine"))
    with pytest.raises(
        UnknownName, match=r"unknown guidance 'cosin'; did you mean 'cosine'\? .*cosine, steady"
    ):
        known.build("guidance", "cosin", {})


def test_an_unknown_kind_gets_the_nearest():
    with pytest.raises(UnknownName, match=r"'guidence'; did you mean 'guidance'\?"):
        registry(spec()).find("guidence", "steady")


@pytest.mark.parametrize("again", [{"name": "steady"}, {"name": "x", "aliases": ("steady",)}])
def test_a_name_taken_twice_names_both_distributions(again):
    known = registry(spec(), distribution="acme-one")
    with pytest.raises(
        PluginError, match=r"guidance 'steady' is registered twice: by acme-one and by acme-two"
    ):
        known.add([spec("fine"), spec(**again)], "acme-two")
    assert known.names("guidance") == ["steady"]  # all of them, or none


def test_a_name_taken_twice_by_one_distribution_is_refused():
    with pytest.raises(PluginError, match="by acme and by acme"):
        registry(spec(), spec())


def test_the_same_name_may_serve_two_kinds():
    known = registry(spec("linear"), spec("linear", kind="schedule"))
    assert known.names("schedule") == known.names("guidance") == ["linear"]


def test_the_origin_is_the_distribution():
    known = registry(spec(aliases=("flat",)), distribution="acme-guides")
    assert known.origin(known.find("guidance", "flat")) == "acme-guides"


def test_a_missing_requirement_says_what_to_type():
    hint = "pip install 'vartk[flash-attn]'"
    known = registry(spec(requires=("json", "no_such_lib", "no_such.part"), install_hint=hint))
    assert known.missing(known.find("guidance", "steady")) == ["no_such_lib", "no_such.part"]
    with pytest.raises(MissingRequirement) as error:
        known.build("guidance", "steady", {})
    assert str(error.value) == f"guidance 'steady' needs no_such_lib, no_such.part; {hint}"


def test_wrong_parameters_name_the_component():
    with pytest.raises(ParamErrors, match=r"guidance 'steady': unknown parameter 'scal'; did you"):
        registry(spec()).build("guidance", "steady", {"scal": 1})


def test_params_gives_the_checked_values_without_building():
    known = registry(spec(target="acme_guides:Missing"))
    assert known.params("guidance", "steady", {"scale": 1}) == {"scale": 1.0}


def test_a_component_that_lacks_a_method_is_a_plugin_error():
    with pytest.raises(
        PluginError, match=r"guidance 'steady' of acme lacks mix, which every guidance must have"
    ):
        registry(spec(target="acme_guides:Half")).build("guidance", "steady", {})


def test_a_component_that_is_not_callable_but_should_be_is_a_plugin_error():
    with pytest.raises(PluginError, match="lacks __call__"):
        registry(spec(kind="sampler")).build("sampler", "steady", {})


@pytest.mark.parametrize("target", ["acme_guides:Gide", "acme_no_such:Guide"])
def test_a_target_that_is_not_there_names_component_and_origin(target):
    with pytest.raises(VartkError, match=rf"'steady' of acme cannot be imported from '{target}'"):
        registry(spec(target=target)).build("guidance", "steady", {})


def test_a_library_that_breaks_at_import_is_a_clear_error(tmp_path, monkeypatch):
    (tmp_path / "acme_broken_lib.py").write_text("raise OSError('libfoo.so: not found')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(VartkError, match=r"cannot be imported .*libfoo\.so: not found"):
        registry(spec(target="acme_broken_lib:Guide")).build("guidance", "steady", {})


def test_parameters_that_are_no_dataclass_are_a_plugin_error():
    with pytest.raises(PluginError, match="not a dataclass"):
        registry(spec(config="acme_guides:Guide")).build("guidance", "steady", {})
