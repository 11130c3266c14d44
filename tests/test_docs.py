"""The documentation does what it says: commands parse or run, snippets run, tables and quotes are true."""

import re
import runpy
import shlex
import tomllib
from pathlib import Path

import pytest
from tiny import tiny_model

import vartk
from vartk.cli.main import build_parser, main
from vartk.components import plugins
from vartk.config import (
    Config,
    EvalConfig,
    GeneratorSampling,
    Layer,
    SamplingConfig,
    compose,
    load_layers,
    parse_overrides,
    plain,
    with_preset,
)
from vartk.studies import read_study
from vartk_registry import discover

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "vartk-hello"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "plugins").rglob("models/*/README.md")),
]
TYPED = ROOT / "docs" / "tutorials" / "infinity.md"
"""The tutorial whose snippets `test_infinity_tutorial.py` runs, with its commands."""
RUN = ("list", "show", "plugins", "config")
"""Commands that finish in no time and touch no file; the others are parsed, and their settings checked."""
NOT_OURS = ("pip", "pytest", "tar", "git", "python")
EXCERPT = re.compile(r"# (vartk_hello/\w+\.py|pyproject\.toml)\n")
"""The first line of a block that is quoted from the example."""


def blocks(page, *languages):
    """Return the fenced blocks of a page in some languages."""
    fences = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for language, text in fences if language in languages]


def commands(page):
    """Return the command lines of a page as lists of words, comments and prompts removed."""
    lines = "\n".join(blocks(page, "bash", "sh", "shell", "console")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    found = []
    for line in words:
        while "&&" in line:
            found.append(line[: line.index("&&")])
            line = line[line.index("&&") + 1 :]
        found.append(line)
    # what torchrun starts is a command of ours
    found = [line[line.index("vartk") :] if line[:1] == ["torchrun"] else line for line in found]
    return [line for line in found if line]


def snippets(page):
    """Return the Python blocks of a page that are not quoted from the example."""
    return [text for text in blocks(page, "python") if not EXCERPT.match(text)]


def excerpts(page):
    return [text for text in blocks(page, "python", "toml") if EXCERPT.match(text)]


def plugin_snippets(page):
    return [text for text in snippets(page) if "@hookimpl" in text]


def each(find):
    """Parametrise a test by what `find` gives for every page."""
    found = [(page, item) for page in PAGES for item in find(page)]
    ids = [f"{page.name}: {' '.join(i) if isinstance(i, list) else i.splitlines()[0]}" for page, i in found]
    return pytest.mark.parametrize("found", [item for _, item in found], ids=ids)


@each(lambda page: [] if page == TYPED else commands(page))
def test_a_command_is_right(found, capsys):
    program, *arguments = found
    if program in NOT_OURS:
        return
    assert program == "vartk"
    if arguments[0] in RUN:
        assert main(arguments) == 0, capsys.readouterr().err
        return
    parsed, rest = build_parser(arguments[0]).parse_known_args(arguments)
    settings = [*getattr(parsed, "overrides", []), *rest]
    assert all(re.match(r"[\w.]+=", word) for word in settings), settings
    if arguments[0] == "sample" and any(word.startswith("generator.") for word in settings):
        own = Layer("model", {"generator": "dit"})
        compose(GeneratorSampling, [own, parse_overrides(settings)], plugins())
    elif arguments[0] == "sample":
        compose(SamplingConfig, with_preset(parse_overrides(settings), plugins()), plugins())
    elif arguments[0] in ("train", "tokenize", "demo"):
        layers = load_layers(getattr(parsed, "config", "demo"), plugins())
        compose(Config, [*layers, parse_overrides(settings)], plugins())


def distribution(requirement):
    """Return the name of what a requirement such as `flash_attn>=2.7` asks for, as indexes spell it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def installed_by(install):
    """Return the distributions that a word such as `.` or `.[lpips,wandb]` of a `pip install` brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [project["optional-dependencies"][extra] for extra in re.findall(r"[\w-]+", install)]
    lists = [project["dependencies"], *extras]
    return {distribution(each) for requirements in lists for each in requirements}


def test_the_readmes_install_command_brings_what_its_commands_need():
    """Its first one: libraries of the components that the commands name, or take by default."""
    lines = commands(ROOT / "README.md")
    install = next(line for line in lines if line[:2] == ["pip", "install"])
    defaults = plain(compose(EvalConfig, [], plugins()).config)
    named = set(re.findall(r"[\w.-]+", f"{lines} {defaults}"))
    lacking = {
        f"{spec.kind}/{spec.name}: {module}"
        for spec in plugins().registry.specs()
        for module in spec.requires
        if spec.name in named and distribution(module) not in installed_by(install[-1])
    }
    assert not lacking


def test_the_readmes_commands_can_be_typed_one_after_another():
    """Each needs a new folder for its output."""
    written = [line[line.index("--out") + 1] for line in commands(ROOT / "README.md") if "--out" in line]
    assert len(written) == len(set(written)), written


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A tiny model with the classes that the demo's has."""
    folder = tmp_path_factory.mktemp("docs") / "model"
    groups = plugins().registry.build("dataset", "emoji64", {"classes": "group"}, split="train").classes
    vartk.save(tiny_model(classes=groups), folder)
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if page != TYPED], ids=lambda page: page.name)
def test_the_python_snippets_of_a_page_run(page, model_folder, tmp_path, monkeypatch):
    """In one namespace, top to bottom; a model that they load is the one in the box, or else a tiny one.

    What the page exports of the model in the box is there.
    """
    load = vartk.load

    def loaded(name, **settings):
        return load(name if name == "emoji64" else model_folder, **settings)

    monkeypatch.setattr(vartk, "load", loaded)
    monkeypatch.chdir(tmp_path)
    for line in commands(page):
        if line[:3] == ["vartk", "export", "emoji64"]:
            assert main(line[1:]) == 0
    namespace = {"__name__": "snippet", "__file__": str(tmp_path / "snippet.py")}
    for text in snippets(page):
        exec(compile(text, page.name, "exec"), namespace)


@each(plugin_snippets)
def test_a_snippet_with_hooks_is_a_plugin(found, tmp_path, monkeypatch):
    (tmp_path / "documented_plugin.py").write_text(found)
    monkeypatch.syspath_prepend(tmp_path)
    (report,) = discover(["documented_plugin"], group="none").reports
    assert report.ok, report.details


@each(excerpts)
def test_an_excerpt_equals_the_file_it_is_from(found):
    match = EXCERPT.match(found)
    assert found[match.end() :] in (EXAMPLE / match[1]).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_the_table_of_keys_is_that_of_the_schema():
    documented = runpy.run_path(str(ROOT / "docs" / "keys.py"))
    assert documented["page"]() == documented["PAGE"].read_text(), "run `python docs/keys.py`"


@each(lambda page: blocks(page, "yaml"))
def test_a_yaml_example_is_a_configuration_or_a_study(found, tmp_path):
    (tmp_path / "example.yaml").write_text(found)
    if "\nsystems:" in found:
        for form in ("", "quick"):
            read_study(str(tmp_path / "example.yaml"), form=form)
        return
    compose(Config, load_layers(str(tmp_path / "example.yaml"), plugins()), plugins())
