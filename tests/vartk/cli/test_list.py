"""vartk list, show, plugins and env."""

import json
import re

import pytest

from vartk_registry import KINDS

BROKEN = """
import acme_missing_library
"""

HALF_BROKEN = """
from vartk_registry import ComponentSpec, hookimpl

def attention():
    raise RuntimeError("no such device")

def schedule():
    raise ZeroDivisionError("never divide by acme")

@hookimpl
def vartk_components():
    return [
        ComponentSpec(kind="attention", name="acme", target="acme_half:attention", summary="fails to build"),
        ComponentSpec(kind="schedule", name="acme", target="acme_half:schedule", summary="fails to build"),
        ComponentSpec(
            kind="sampler",
            name="acme",
            target="acme_half:none",
            summary="needs what is not there",
            requires=("acme_library",),
            install_hint="pip install acme-library",
            aliases=("acmes",),
        ),
    ]
"""


def last(out):
    return json.loads(out.splitlines()[-1])


def test_list_has_every_kind(vartk):
    out = vartk("list").out
    assert {line.split("/")[0] for line in out.splitlines()[1:]} == {*KINDS, "preset"}
    assert "sampler/greedy" in out
    assert "takes the most likely code, without randomness" in out
    assert not any(line.endswith(" ") for line in out.splitlines())


def test_list_of_one_kind(vartk):
    names = [row["name"] for row in last(vartk("list", "sampler", "--json").out)["components"]]
    assert names == ["sampler/categorical", "sampler/greedy", "sampler/gumbel_smooth"]
    presets = last(vartk("list", "preset", "--json").out)["components"]
    assert "preset/demo" in [row["name"] for row in presets]


def test_list_of_an_unknown_kind(refused):
    assert refused("list", "shedule").startswith("vartk: unknown kind 'shedule'; did you mean 'schedule'?")


def test_list_tells_what_is_missing(vartk, install):
    install("acme_half", HALF_BROKEN)
    assert "needs what is not there (needs acme_library)" in vartk("list", "sampler").out
    assert "  acme  " in vartk("list", "sampler").out


def test_a_plugin_that_cannot_be_imported_is_reported_and_the_rest_works(vartk, install):
    install("acme_broken", BROKEN)
    error = "ModuleNotFoundError: No module named 'acme_missing_library'"
    ran = vartk("list")
    assert ran.code == 0
    assert "sampler/greedy" in ran.out
    assert ran.err == f"plugin acme_broken of acme failed: {error}\n"
    assert f"acme 1.0  failed  {error}" in vartk("plugins").out
    (row,) = [row for row in last(vartk("plugins", "--json").out)["plugins"] if row["error"]]
    source = {"name": "acme_broken", "from": "acme", "version": "1.0"}
    assert row == {**source, "state": "failed", "components": [], "error": error}


def test_checking_a_plugin_that_cannot_be_imported_shows_where(vartk, install, capsys):
    from vartk.cli.main import main

    install("acme_broken", BROKEN)
    assert main(["plugins", "check", "acme_broken"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("vartk: plugin acme_broken of acme failed:\n")
    assert "import acme_missing_library" in message  # the line of the plugin


def test_show_a_component(vartk):
    out = vartk("show", "sampler/categorical").out
    assert "draws at random, after temperature, top-k and top-p" in out
    (line,) = [line for line in out.splitlines() if line.startswith("top_p")]
    assert line.split()[:3] == ["top_p", "float", "0.0"]
    assert "at least 0 and at most 1" in line


def test_show_a_component_as_json(vartk):
    shown = last(vartk("show", "dataset/emoji64", "--json").out)
    assert (shown["kind"], shown["name"], shown["from"]) == ("dataset", "emoji64", "vartk")
    parameter = shown["parameters"][0]
    assert (parameter["parameter"], parameter["default"]) == ("classes", "group-style")
    assert parameter["allowed"] == "group | style | group-style"


def test_show_a_component_without_parameters(vartk):
    assert vartk("show", "sampler/greedy").out.endswith("It takes no parameters.\n")


def test_show_a_component_that_cannot_be_used(vartk, install):
    install("acme_half", HALF_BROKEN)
    out = vartk("show", "sampler/acmes").out
    assert "also called acmes" in out
    assert "not usable here: needs acme_library. pip install acme-library" in out


def test_show_a_preset(vartk):
    assert "extends: var-d16" in vartk("show", "preset/var-d20").out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("var-256", "'var-256' is not KIND/NAME; type for instance schedule/var-256"),
        ("shedule/var-256", "unknown kind 'shedule'; did you mean 'schedule'?"),
        ("schedule/var256", "unknown schedule 'var256'; did you mean 'var-256'? Valid: custom,"),
        ("preset/dmo", "unknown preset 'dmo'; did you mean 'demo'?"),
    ],
)
def test_show_what_is_not_there(refused, name, message):
    assert refused("show", name).startswith(f"vartk: {message}")


def test_plugins_names_components(vartk):
    (line,) = [
        line for line in vartk("plugins").out.splitlines() if line.startswith("vartk_plugins.samplers ")
    ]
    assert line.split(maxsplit=3) == [
        "vartk_plugins.samplers",
        "vartk",
        "loaded",
        "sampler/categorical, sampler/greedy, sampler/gumbel_smooth",
    ]


def test_plugins_can_be_blocked_by_an_environment_variable(vartk, refused, install, monkeypatch):
    monkeypatch.setenv("VARTK_PLUGINS", "-acme_broken")
    install("acme_broken", BROKEN)
    assert vartk("list").err == ""
    assert "acme_broken" in vartk("plugins").out
    (row,) = [row for row in last(vartk("plugins", "--json").out)["plugins"] if row["from"] == "acme"]
    assert row["state"] == "blocked"
    assert "is blocked by VARTK_PLUGINS" in refused("plugins", "check", "acme_broken")


def test_a_wrong_choice_of_plugins_is_a_users_error(refused, install, monkeypatch):
    monkeypatch.setenv("VARTK_PLUGINS", "acme_brokn")
    install("acme_broken", BROKEN)
    assert "did you mean 'acme_broken'?" in refused("list")


@pytest.mark.parametrize(
    "words", [("--trace-plugins", "list", "sampler"), ("list", "sampler", "--trace-plugins")]
)
def test_the_trace_of_plugins_shows_order_and_time(vartk, install, words):
    install("acme_half", HALF_BROKEN)
    ran = vartk(*words)
    assert ran.code == 0
    assert "trace" not in ran.out
    lines = ran.err.splitlines()
    assert re.fullmatch(r" +\d+\.\d ms  vartk_plugins.schedules \(vartk\) loaded: schedule/.*", lines[0])
    assert re.fullmatch(
        r" +\d+\.\d ms  acme_half \(acme\) loaded: attention/acme, schedule/acme, sampler/acme", lines[-1]
    )


def test_a_deprecated_component_says_what_to_use(vartk, install):
    install(
        "acme_old",
        HALF_BROKEN.replace("acme_half", "acme_old").replace(
            'requires=("acme_library",)', 'deprecated="take sampler=greedy"'
        ),
    )
    assert "needs what is not there (deprecated: take sampler=greedy)" in vartk("list", "sampler").out
    assert "deprecated: take sampler=greedy" in vartk("show", "sampler/acme").out
    with pytest.warns(FutureWarning, match="sampler 'acme' is deprecated; take sampler=greedy"):
        vartk("plugins", "check", "acme_old")


def test_check_a_plugin_that_keeps_the_contract(vartk):
    ran = vartk("plugins", "check", "vartk_plugins.samplers", "--json")
    assert ran.code == 0
    assert set(last(ran.out)["results"].values()) == {"keeps the contract"}


def test_check_a_component_that_cannot_be_built_by_its_name(vartk):
    ran = vartk("plugins", "check", "vartk_plugins.folder")
    assert ran.code == 0
    assert "not checked: dataset folder needs path" in ran.out


def test_check_a_component_whose_defaults_are_too_large_for_a_check(vartk):
    results = last(vartk("plugins", "check", "vartk_plugins.var", "--json").out)["results"]
    assert results["transformer/var"] == "keeps the contract"


def test_check_a_plugin_without_components(vartk):
    ran = vartk("plugins", "check", "vartk_plugins.presets")
    assert (ran.code, ran.out) == (0, "vartk_plugins.presets has no components to check\n")


def test_check_a_plugin_that_crashes(vartk, install):
    install("acme_half", HALF_BROKEN)
    ran = vartk("plugins", "check", "acme_half")
    assert ran.code == 1
    assert "schedule/acme" in ran.out
    assert "FAILS: ZeroDivisionError: never divide by acme" in ran.out
    assert "not checked: sampler 'acme' needs acme_library; pip install acme-library" in ran.out


def test_check_an_unknown_plugin(refused):
    assert "unknown plugin 'vartk_plugins.vra'; did you mean" in refused(
        "plugins", "check", "vartk_plugins.vra"
    )
    assert refused("plugins", "check").startswith("vartk: which plugin? Give one of: vartk_plugins.")


def test_env_names_versions_and_backends(vartk):
    import torch

    lines = dict(line.split("  ", 1) for line in vartk("env").out.splitlines())
    told = {what: value.strip() for what, value in lines.items()}
    assert torch.__version__.startswith(told["torch"])
    assert told["attention sdpa"] == "usable"
    assert told == last(vartk("env", "--json").out)


def test_env_outlives_broken_plugins(vartk, install):
    install("acme_half", HALF_BROKEN)
    assert last(vartk("env", "--json").out)["attention acme"] == "not usable: no such device"


def test_env_names_plugins_that_failed(vartk, install):
    install("acme_broken", BROKEN)
    assert "acme_missing_library" in last(vartk("env", "--json").out)["plugin acme_broken"]
