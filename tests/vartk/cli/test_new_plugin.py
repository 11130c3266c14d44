"""vartk new-plugin: what it writes installs, keeps the contract and passes its own tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vartk.tasks.new_plugin.templates import TEMPLATES
from vartk_registry import KINDS

ROOT = Path(__file__).parents[3]
SOURCES = [str(ROOT / folder) for folder in (".", "registry", "plugins")]

COMPOSE = """
import shlex, sys
from vartk.cli.main import build_parser
from vartk.components import plugins
from vartk.config import Config, EvalConfig, SamplingConfig, compose, load_layers, parse_overrides
for line in sys.argv[1:]:
    program, *words = shlex.split(line)
    parsed, rest = build_parser(words[0]).parse_known_args(words)
    assert callable(parsed.run)
    settings = parse_overrides([*getattr(parsed, "overrides", []), *rest])
    schema = {"sample": SamplingConfig, "train": Config, "eval": EvalConfig}.get(words[0])
    layers = load_layers("demo", plugins()) if words[0] == "train" else []
    if schema:
        compose(schema, [*layers, settings], plugins())
"""
"""Parses command lines, and checks their settings."""


def python(*command, sites=(), cwd=None):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*map(str, sites), *SOURCES]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, *command], env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory):
    """A written distribution with a component of each kind."""
    out = tmp_path_factory.mktemp("new") / "vartk-whole"
    python("-m", "vartk", "new-plugin", "vartk-whole", "--kind", ",".join(KINDS), "--out", str(out))
    return out


@pytest.fixture(scope="module")
def site(every_kind, tmp_path_factory):
    """A folder that `pip install` put the distribution into."""
    site = tmp_path_factory.mktemp("site")
    pip = ["-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    python(*pip, "--disable-pip-version-check", "--target", str(site), str(every_kind))
    return site


def test_there_is_a_template_for_every_kind():
    assert TEMPLATES.keys() == KINDS.keys()


def test_each_component_is_installed_and_keeps_the_contract(site):
    out = python("-m", "vartk", "plugins", "check", "whole", "--json", sites=[site])
    results = json.loads(out.splitlines()[-1])["results"]
    assert results == {f"{kind}/whole": "keeps the contract" for kind in KINDS}


def test_its_tests_pass_where_it_is_installed(every_kind, site):
    out = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", sites=[site], cwd=every_kind)
    assert " passed" in out
    assert "skipped" not in out


def test_it_is_written_in_good_style(every_kind):
    python(
        "-m", "ruff", "check", "--isolated", "--line-length=110", "--select=E,F,B,UP,W,SIM,RET", every_kind
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_alone_is_a_plugin(kind, vartk, tmp_path, monkeypatch):
    ran = vartk("new-plugin", "vartk-alone", "--kind", kind, "--out", tmp_path / "new", "--json")
    files = json.loads(ran.out.splitlines()[-1])["files"]
    assert {"pyproject.toml", "README.md", f"vartk_alone/{kind}.py", f"tests/test_{kind}.py"} <= set(files)
    source = "from vartk_registry import discover\n(report,) = discover(['vartk_alone'], 'none').reports\n"
    out = python("-c", f"{source}print(report.components, report.error)", sites=[tmp_path / "new"])
    assert out == f"('{kind}/alone',) \n"


def test_the_commands_of_its_readme_are_right(every_kind, site):
    shown = (every_kind / "README.md").read_text().split("```bash\n")[2].split("```")[0].splitlines()
    assert len(shown) == len(KINDS)
    assert all("whole" in line for line in shown)
    python("-c", COMPOSE, *shown, sites=[site])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Frozen", "--kind", "cache"], "'Frozen' cannot be the name of a distribution here"),
        (["vartk-", "--kind", "cache"], "cannot be the name of a distribution here"),
        (["class", "--kind", "cache"], "'class' cannot be the name"),
        (["json", "--kind", "cache"], "there is a module json already"),
        (["vartk-fastvar", "--kind", "cache"], "vartk has cache/fastvar already; give another name"),
        (["vartk-frozen", "--kind", "cahce"], "unknown kind 'cahce'; did you mean 'cache'?"),
        (["vartk-frozen", "--kind", ","], "no kind is named in ','"),
    ],
)
def test_a_wrong_name_or_kind_is_refused_and_nothing_is_written(refused, tmp_path, words, message):
    assert message in refused("new-plugin", *words, "--out", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(refused, tmp_path):
    (tmp_path / "mine").write_text("mine")
    assert "exists and is not overwritten" in refused(
        "new-plugin", "vartk-frozen", "--kind", "cache", "--out", tmp_path
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.slow
def test_a_full_pip_install_brings_what_its_tests_need(every_kind, tmp_path):
    """In a new environment, with the wheel of this vartk, libraries of this environment and an own build."""
    environment = tmp_path / "environment"
    python("-m", "venv", "--system-site-packages", str(environment))
    libraries = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (next(environment.glob("lib/*/site-packages")) / "outside.pth").write_text(f"{libraries}\n")
    inside = str(environment / "bin" / "python")
    pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for command in (
        [*pip, "--no-deps", "--force-reinstall", str(ROOT)],
        [*pip, "-e", f"{every_kind}[test]"],
        [inside, "-m", "pytest", "-q", str(every_kind)],
        [str(environment / "bin" / "vartk"), "plugins", "check", "whole"],
    ):
        done = subprocess.run(command, cwd=every_kind, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
