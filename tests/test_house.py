"""The rules of the house: style, types, who imports whom, documentation, and what is packaged."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from vartk.components import BUILTINS, plugins
from vartk_registry import KINDS, MissingRequirement, Unsupported, VartkError
from vartk_registry.hooks import Hooks
from vartk_registry.testing import check_component

ROOT = Path(__file__).parents[1]
PACKAGES = [ROOT / "vartk", ROOT / "registry" / "vartk_registry", ROOT / "plugins" / "vartk_plugins"]
REGISTRY = plugins().registry
COMPONENTS = [f"{spec.kind}/{spec.name}" for spec in REGISTRY.specs() if REGISTRY.origin(spec) == "vartk"]

CONTRACT = [
    ".".join(path.relative_to(ROOT / "registry").with_suffix("").parts)
    for path in (ROOT / "registry").rglob("*.py")
    if "testing" not in path.parts
]
"""The modules of the contract package but the conformance kit, which needs torch."""

NEED_FILES = {"dataset/folder", "dataset/webdataset", "generator/diffusers"}
"""Components that cannot be built without files."""
DOWNLOADED = {"feature/lpips", "feature/inception", "discriminator/dino"}
"""Components that fetch weights; their own tests build them of files."""


def python(*command):
    """Run Python on the source folders, installed or not."""
    path = os.pathsep.join(str(ROOT / folder) for folder in (".", "registry", "plugins"))
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def require_success(done):
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff(command):
    require_success(python("-m", "ruff", *command, "."))


def test_the_contract_package_is_strictly_typed():
    require_success(python("-m", "mypy", "--config-file", "setup.cfg"))


def test_imports_go_one_way():
    lint = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    require_success(python("-c", lint))


def module_files():
    """Return the file of each module of the packages, by its dotted name."""
    files = [(package.parent, path) for package in PACKAGES for path in package.rglob("*.py")]
    dotted = [(".".join(path.relative_to(root).with_suffix("").parts), path) for root, path in files]
    return {name.removesuffix(".__init__"): path for name, path in dotted}


def imported(name, files):
    """Return the modules that a module imports, anywhere in its file: in functions, for type checkers."""
    parents = name.split(".") if files[name].name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(files[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            inside = [f"{base}.{alias.name}" for alias in node.names]
            found |= {name if name in files else base for name in inside}
    return found & files.keys()


def test_no_imports_go_in_a_circle():
    files = module_files()
    order = TopologicalSorter({name: imported(name, files) for name in files})
    try:
        order.prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other: {' - '.join(reversed(error.args[1]))}")


@pytest.mark.parametrize(
    "modules",
    [
        CONTRACT,
        list(BUILTINS),
        ["vartk", "vartk.cli.main"],
    ],
    ids=["contract", "plugins", "command line"],
)
def test_torch_is_not_imported_before_it_is_needed(modules):
    heavy = "sorted({'torch', 'timm', 'numpy', 'torchvision'} & set(sys.modules))"
    done = python("-c", f"import sys, {', '.join(modules)}; print({heavy})")
    require_success(done)
    assert done.stdout.strip() == "[]"


def test_the_parameters_of_components_are_known_without_torch():
    """`vartk show` and `vartk config` check parameters; what they load must be light."""
    code = (
        "import sys; from vartk.components import plugins; registry = plugins().registry\n"
        "for spec in registry.specs(): registry.config_class(spec)\n"
        "print('torch' in sys.modules)"
    )
    done = python("-c", code)
    require_success(done)
    assert done.stdout.strip() == "False"


def test_every_built_in_plugin_loads():
    reports = [report for report in plugins().reports if report.distribution == "vartk"]
    assert {report.name: report.error for report in reports} == dict.fromkeys(BUILTINS, "")


def test_every_plugin_folder_is_announced():
    folders = {path.parent.name for path in (ROOT / "plugins" / "vartk_plugins").glob("*/__init__.py")}
    assert {f"vartk_plugins.{name}" for name in folders} == set(BUILTINS)


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_has_a_summary_and_help_for_its_parameters(name):
    spec = REGISTRY.find(*name.split("/"))
    assert spec.summary
    assert "\n" not in spec.summary
    config = REGISTRY.config_class(spec)
    for field in config.__dataclass_fields__.values() if config else ():
        assert field.metadata.get("help"), f"{name}: {field.name}"


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_keeps_the_contract(name):
    kind, component = name.split("/")
    if name in DOWNLOADED:
        pytest.skip("it would download weights")
    elif name in NEED_FILES:
        with pytest.raises(VartkError):
            check_component(REGISTRY, kind, component)
    else:
        try:
            check_component(REGISTRY, kind, component)
        except (Unsupported, MissingRequirement) as error:  # without its GPU, or its library
            pytest.skip(str(error))


def hooks():
    return [name for name in vars(Hooks) if not name.startswith("_")]


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_tested_and_documented(hook):
    tests = [path.read_text() for path in (ROOT / "tests" / "registry").glob("test_*.py")]
    assert any(hook in text for text in tests)
    assert f"`{hook}`" in (ROOT / "docs" / "plugins.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_documented_with_its_interface(kind):
    interface = KINDS[kind].interface.partition(":")[2]
    guide = (ROOT / "docs" / "plugins.md").read_text()
    assert re.search(rf"^\| `{kind}` \|.*`{interface}`", guide, re.MULTILINE)
    assert f"`{kind}`" in (ROOT / "docs" / "architecture.md").read_text()


def test_no_file_is_longer_than_one_idea():
    folders = (*PACKAGES, ROOT / "examples", ROOT / "tests", ROOT / "docs")
    lengths = {path: len(path.read_text().splitlines()) for f in folders for path in f.rglob("*.py")}
    assert not [path for path, length in lengths.items() if length > 400]


def test_the_wheel_holds_every_file_of_the_packages(tmp_path):
    require_success(python("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)))
    (wheel,) = tmp_path.glob("*.whl")
    packaged = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(package.parent).as_posix()
        for package in PACKAGES
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packaged == sources
    assert "vartk_plugins/emoji64/data/emoji64.zip" in packaged
