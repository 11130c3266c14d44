from dataclasses import FrozenInstanceError

import pytest

from vartk_registry import API, KINDS, ComponentSpec, PluginError, UnknownName


def spec(**changes):
    return ComponentSpec(**{"kind": "sampler", "name": "mine", "target": "a.b:C", "summary": "s", **changes})


def test_a_spec_is_data_and_imports_nothing():
    made = spec(target="no.such.module:Thing", config="no.such.config:Params")
    assert made.api == API
    with pytest.raises(FrozenInstanceError):
        made.name = "other"


@pytest.mark.parametrize("name", ["var-256", "h2o", "a.b", "gumbel_smooth", "4x"])
def test_names_of_lower_case_digits_and_joints_are_taken(name):
    assert spec(name=name, aliases=(name + "-2",)).name == name


@pytest.mark.parametrize("name", ["", "Mine", "two words", "-x", "a/b", "é"])
def test_other_names_are_refused(name):
    with pytest.raises(PluginError, match="must be lower case"):
        spec(name=name)
    with pytest.raises(PluginError, match="must be lower case"):
        spec(aliases=(name,))


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(UnknownName, match=r"'samplr'; did you mean 'sampler'\?"):
        spec(kind="samplr")


@pytest.mark.parametrize("target", ["a.b", "a.b:", ":C", "a.b:C.D", "a b:C", "a/b.py:C"])
def test_targets_must_read_module_attribute(target):
    with pytest.raises(PluginError, match=r"target .* must read 'module:attribute'"):
        spec(target=target)
    with pytest.raises(PluginError, match=r"config .* must read 'module:attribute'"):
        spec(config=target)


@pytest.mark.parametrize("field", ["requires", "aliases"])
def test_a_text_where_a_tuple_belongs_is_refused(field):
    with pytest.raises(PluginError, match=rf"{field} must be a tuple, such as \('xformers',\)"):
        spec(**{field: "xformers"})


def test_another_contract_is_refused_before_all_else():
    with pytest.raises(PluginError, match=rf"made for contract 99, this is contract {API}"):
        spec(api=99, kind="a-kind-of-the-future")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_each_kind_has_an_interface_and_a_summary(kind):
    import importlib

    module, attribute = kind.interface.split(":")
    interface = getattr(importlib.import_module(module), attribute)
    assert interface.__doc__.startswith(f"Component kind `{kind.name}`")
    assert kind.summary
