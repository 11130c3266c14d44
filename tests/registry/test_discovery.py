"""Discovery, with tiny plugins written to disk and announced as installed distributions."""

import re
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from textwrap import dedent

import pytest

from vartk_registry import CommandSpec, UnknownName, VartkError, discover
from vartk_registry.hooks import Hooks

HEAD = """
from pathlib import Path
from vartk_registry import CommandSpec, ComponentSpec, PresetSpec, hookimpl

def component(name, kind="sampler"):
    return ComponentSpec(kind=kind, name=name, target="acme:Thing", summary="a thing")
"""

GOOD = """
@hookimpl
def vartk_components():
    return [component("good"), component("good", kind="cache")]
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on sys.path; its modules are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("acme"):
            del sys.modules[name]


@pytest.fixture
def module(site):
    def write(name, source):
        (site / f"{name}.py").write_text(HEAD + dedent(source))
        return name

    return write


@pytest.fixture
def install(site):
    def write(distribution, version, **entries):
        folder = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (folder / "entry_points.txt").write_text("\n".join(["[acme.test]", *lines]))

    return write


def found(*builtins, chosen=""):
    return discover(builtins, group="acme.test", chosen=chosen)


def only(plugins):
    (report,) = plugins.reports
    return report


def test_a_built_in_module_offers_its_components(module):
    plugins = found(module("acme_good", GOOD))
    report = only(plugins)
    assert report.ok
    assert (report.name, report.distribution) == ("acme_good", "vartk")
    assert report.components == ("sampler/good", "cache/good")
    assert plugins.registry.names("sampler") == ["good"]


def test_an_installed_plugin_is_found_by_its_entry_point(module, install):
    module("acme_good", GOOD)
    install("acme-vartk", "1.2", good="acme_good")
    plugins = found()
    report = only(plugins)
    assert (report.name, report.distribution, report.version) == ("good", "acme-vartk", "1.2")
    assert plugins.registry.origin(plugins.registry.find("cache", "good")) == "acme-vartk"


def test_an_entry_point_may_name_an_object(module, install):
    module(
        "acme_object",
        """
        class Plugin:
            @hookimpl
            def vartk_components(self):
                yield component("yielded")

        plugin = Plugin()
        """,
    )
    install("acme", "1", it="acme_object:plugin")
    assert found().registry.names("sampler") == ["yielded"]


def test_an_entry_point_announced_twice_is_one_plugin(module, install):
    module("acme_good", GOOD)
    install("acme-installed", "1", good="acme_good")
    install("acme-source-folder", "1", good="acme_good")
    assert only(found()).ok


def test_two_distributions_may_call_their_plugins_the_same(module, install):
    module("acme_good", GOOD)
    module("acme_other", "@hookimpl\ndef vartk_components(): return [component('other')]")
    install("acme-one", "1", plugin="acme_good")
    install("acme-two", "1", plugin="acme_other")
    plugins = found()
    assert [report.ok for report in plugins.reports] == [True, True]
    assert plugins.registry.names("sampler") == ["good", "other"]


BROKEN = {
    "import": ("import acme_no_such_library", "ModuleNotFoundError: No module named 'acme_no_such"),
    "syntax": ("def", "SyntaxError"),
    "raises": ("raise RuntimeError('no GPU')", "RuntimeError: no GPU"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "no hooks": ("def vartk_components(): return []", "no function marked with"),
    "misspelt hook": (
        "@hookimpl\ndef vartk_component(): return []",
        "unknown hook 'vartk_component'; did you mean 'vartk_components'?",
    ),
    "wrong argument": (
        "@hookimpl\ndef vartk_check(konfig): return []",
        "konfig",
    ),
    "hook raises": ("@hookimpl\ndef vartk_components(): 1 / 0", "ZeroDivisionError"),
    "rubbish": (
        "@hookimpl\ndef vartk_components(): return ['good']",
        "vartk_components must return ComponentSpec objects, not 'good'",
    ),
    "no list": (
        "@hookimpl\ndef vartk_components(): return component('alone')",
        "vartk_components must return ComponentSpec objects, not ComponentSpec(",
    ),
    "wrong spec": (
        "@hookimpl\ndef vartk_presets(): return [component('x')]",
        "vartk_presets must return PresetSpec objects",
    ),
    "malformed": (
        "@hookimpl\ndef vartk_components(): return [component('Bad Name')]",
        "name 'Bad Name' must be lower case",
    ),
    "unknown kind": (
        "@hookimpl\ndef vartk_components(): return [component('x', kind='samplr')]",
        "did you mean 'sampler'?",
    ),
    "name taken": (
        "@hookimpl\ndef vartk_components(): return [component('new'), component('good')]",
        "sampler 'good' is registered twice: by vartk and by acme-broken",
    ),
    "preset twice": (
        "@hookimpl\ndef vartk_presets():\n"
        "    return [PresetSpec(name='p', path=Path('p'), summary='') for _ in range(2)]",
        "preset 'p' is registered twice: by acme-broken and by acme-broken",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_plugin_that_fails_offers_nothing_and_harms_no_other(what, module, install):
    source, message = BROKEN[what]
    also = "\n@hookimpl\ndef vartk_environment(): return [('broken', 'line')]\n"
    module("acme_broken", source + ("" if what == "no hooks" else also))
    module("acme_late", "@hookimpl\ndef vartk_components(): return [component('late')]")
    install("acme-broken", "0.1", broken="acme_broken")
    install("acme-late", "1", late="acme_late")
    plugins = found(module("acme_good", GOOD))

    good, broken, late = plugins.reports
    assert good.ok
    assert late.ok
    assert message in broken.error
    assert (broken.name, broken.distribution, broken.version) == ("broken", "acme-broken", "0.1")
    assert broken.details.startswith("Traceback")
    assert broken.components == ()
    assert plugins.registry.names("sampler") == ["good", "late"]
    assert plugins.presets == {}
    assert list(plugins.environment()) == []


def test_a_missing_attribute_or_module_is_reported(module, install):
    module("acme_good", GOOD)
    install("acme", "1", a="acme_good:plugin", b="acme_gone")
    a, b = found().reports
    assert "AttributeError" in a.error
    assert "No module named 'acme_gone'" in b.error


def test_the_same_plugin_under_two_names_stays_loaded_once(module, install):
    module("acme_good", GOOD + "\n@hookimpl\ndef vartk_environment(): return [('acme', 'yes')]\n")
    install("acme", "1", a="acme_good", b="acme_good")
    plugins = found()
    a, b = plugins.reports
    assert a.ok
    assert "announced twice" in b.error
    assert list(plugins.environment()) == [("acme", "yes")]


def test_a_component_taken_by_another_distribution_names_both(module, install):
    module("acme_a", GOOD)
    module("acme_b", GOOD)
    install("acme-a", "1", a="acme_a")
    install("acme-b", "1", b="acme_b")
    assert "by acme-a and by acme-b" in found().reports[1].error


def test_presets_hook(module):
    source = """
    @hookimpl
    def vartk_presets():
        return [PresetSpec(name="tiny", path=Path("tiny.yaml"), summary="small")]
    """
    plugins = found(module("acme_presets", source), module("acme_again", source))
    assert plugins.preset("tiny").path == Path("tiny.yaml")
    assert plugins.origins["preset", "tiny"] == "vartk"
    assert "preset 'tiny' is registered twice" in plugins.reports[1].error
    with pytest.raises(UnknownName, match=r"unknown preset 'tini'; did you mean 'tiny'\?"):
        plugins.preset("tini")


def test_commands_hook(module):
    source = """
    @hookimpl
    def vartk_commands():
        return [
            CommandSpec(
                name="greet",
                summary="greets",
                configure=lambda parser: parser.add_argument("who"),
                run=lambda arguments: len(arguments.who),
            )
        ]
    """
    plugins = found(module("acme_commands", source), module("acme_again", source))
    command = plugins.commands["greet"]
    parser = ArgumentParser()
    command.configure(parser)
    assert isinstance(command, CommandSpec)
    assert command.run(parser.parse_args(["you"])) == command.run(Namespace(who="you")) == 3
    assert "command 'greet' is registered twice" in plugins.reports[1].error


def test_environment_hook_survives_a_plugin_that_fails(module):
    plugins = found(
        module("acme_a", "@hookimpl\ndef vartk_environment(): raise OSError('no driver')"),
        module("acme_b", "@hookimpl\ndef vartk_environment(): return [('acme', '1.0')]"),
        module("acme_c", "@hookimpl\ndef vartk_environment(): pass"),
    )
    assert list(plugins.environment()) == [
        ("acme_a (vartk)", "failed: OSError: no driver"),
        ("acme", "1.0"),
    ]


def test_check_hook_gets_the_configuration_and_the_registry(module):
    plugins = found(
        module("acme_good", GOOD),
        module(
            "acme_check",
            """
            @hookimpl
            def vartk_check(config, registry):
                if config["sampler"] not in registry.names("sampler"):
                    yield f"no sampler {config['sampler']}"
            """,
        ),
        module("acme_part", "@hookimpl\ndef vartk_check(config): return sorted(config)"),
        module("acme_fails", "@hookimpl\ndef vartk_check(config): return config['absent']"),
    )
    failure = "plugin acme_fails (vartk) failed to check the configuration: KeyError: 'absent'"
    assert plugins.check({"sampler": "x"}) == ["no sampler x", "sampler", failure]
    assert plugins.check({"sampler": "good"}) == ["sampler", failure]


@pytest.mark.parametrize("hook", [name for name in vars(Hooks) if not name.startswith("_")])
def test_every_hook_has_a_doc_and_a_test(hook):
    assert getattr(Hooks, hook).__doc__
    assert f"def {hook}(" in Path(__file__).read_text()


@pytest.fixture
def three(module, install):
    """Three installed plugins; the one called `bad` cannot be imported."""
    module("acme_one", "@hookimpl\ndef vartk_components(): return [component('one')]")
    module("acme_two", "@hookimpl\ndef vartk_components(): return [component('two')]")
    module("acme_bad", "raise RuntimeError('imported')")
    install("acme", "1", one="acme_one", two="acme_two", bad="acme_bad")


@pytest.mark.parametrize(
    ("chosen", "states"),
    [
        ("", {"bad": "failed", "one": "loaded", "two": "loaded"}),
        ("one", {"bad": "blocked", "one": "loaded", "two": "blocked"}),
        ("one, two", {"bad": "blocked", "one": "loaded", "two": "loaded"}),
        ("-bad", {"bad": "blocked", "one": "loaded", "two": "loaded"}),
        ("-bad,-two", {"bad": "blocked", "one": "loaded", "two": "blocked"}),
        ("none", {"bad": "blocked", "one": "blocked", "two": "blocked"}),
    ],
)
def test_plugins_are_allowed_or_blocked(three, chosen, states):
    plugins = found(chosen=chosen)
    assert {report.name: report.state for report in plugins.reports} == states
    assert plugins.registry.names("sampler") == [name for name, state in states.items() if state == "loaded"]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("oen", "unknown plugin in the choice of plugins 'oen'; did you mean 'one'?"),
        ("-thre", "unknown plugin in the choice of plugins 'thre'"),
        ("one,-two", "both allows and blocks; give names alone, or -names alone"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(three, chosen, message):
    with pytest.raises(VartkError, match=re.escape(message)):
        found(chosen=chosen)


def test_the_time_of_each_import_is_reported(module, install):
    module("acme_slow", "import time; time.sleep(0.2)\n" + GOOD)
    install("acme", "1", slow="acme_slow")
    (report,) = found(module("acme_quick", "@hookimpl\ndef vartk_presets(): return []")).reports[1:]
    assert 0.2 <= report.seconds < 2


def test_nothing_installed_is_nothing_found():
    plugins = found()
    assert plugins.reports == []
    assert plugins.registry.specs() == []
