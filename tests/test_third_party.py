"""A third party's distribution: installed for real, used by name, and harmless where it is broken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from PIL import Image
from tiny import CONFIG, images_folder, tiny_model

import vartk as vartk_package

ROOT = Path(__file__).parents[1]
HELLO = ROOT / "examples" / "vartk-hello"
SOURCES = [str(ROOT / folder) for folder in (".", "registry", "plugins")]

TRAIN_AND_SAMPLE = """
import sys
from vartk.cli.main import main
config = ["tiny.yaml", "schedule=fibonacci", "dataset=folder", "dataset.path=images"]
tokenizer = ["--tokenizer", "tokenizer"]
chosen = ["sampler=typical", "sampler.mass=0.9", "cache=[strided,{name: fastvar, ratios: [0.5]}]"]
code = main(["train", "tokenizer", *config, "--out", "tokenizer"])
code = code or main(["train", "transformer", *config, *tokenizer, "--out", "transformer"])
code = code or main(["sample", "transformer", *chosen, "--count", "3", "--seed", "7", "--out", "samples"])
sys.exit(code)
"""

RIVAL = """
from vartk_registry import ComponentSpec, hookimpl

@hookimpl
def vartk_components():
    return [ComponentSpec(kind="schedule", name="fibonacci", target="rival:Other", summary="another one")]
"""


def run(command, *sites, cwd=None):
    """Run Python with the sites' distributions installed, and return what became of it."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*map(str, sites), *SOURCES]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, *command], env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )


def vartk(*arguments, sites, cwd=None):
    done = run(["-m", "vartk.cli.main", *arguments], *sites, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done


def installed(example, site):
    """Install an example into a folder by pip, and return the folder."""
    pip = ["-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    done = run([*pip, "--disable-pip-version-check", "--target", str(site), str(example)])
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture(scope="module")
def hello(tmp_path_factory):
    return installed(HELLO, tmp_path_factory.mktemp("hello"))


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """The folders of the other examples, by the name of the example."""
    return {
        name: installed(HELLO.with_name(f"vartk-{name}"), tmp_path_factory.mktemp(name))
        for name in ("reach", "kdtree")
    }


@pytest.fixture
def install(tmp_path):
    """Installs one more plugin, a single module, and returns its folder."""

    def write(name, source):
        site = tmp_path / name
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[vartk.plugins]\n{name} = {name}\n")
        return site

    return write


def test_its_components_are_listed_beside_the_built_in_ones(hello):
    done = vartk("list", "schedule", sites=[hello])
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("schedule/fibonacci ")]
    assert "vartk-hello" in line
    assert "sides 1, 2, 3, 5, 8" in line
    assert "schedule/var-256" in done.stdout


def test_it_keeps_the_contract(hello):
    done = vartk("plugins", "check", "hello", "--json", sites=[hello])
    results = json.loads(done.stdout.splitlines()[-1])["results"]
    assert set(results) == {"schedule/fibonacci", "sampler/typical", "cache/strided"}
    assert set(results.values()) == {"keeps the contract"}


@pytest.mark.parametrize("name", ["hello", "reach", "kdtree"])
def test_its_own_tests_pass_where_it_is_installed(name, hello, others):
    pytest_ = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml", "tests"]
    done = run(pytest_, {"hello": hello, **others}[name], cwd=HELLO.with_name(f"vartk-{name}"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_an_example_that_is_calibrated_samples_with_what_was_measured(others, tmp_path):
    vartk_package.save(tiny_model(), tmp_path / "model")
    words = ["calibrate", "model", "cache=reach", "cache.mass=0.5", "--count", "2", "--json"]
    done = vartk(*words, sites=[others["reach"]], cwd=tmp_path)
    assert len(json.loads(done.stdout.splitlines()[-1])["parameters"]["layers"]) == 2
    vartk("sample", "model", "cache=reach", "--out", "samples", sites=[others["reach"]], cwd=tmp_path)
    layers = OmegaConf.load(tmp_path / "model" / "model.yaml").calibration.reach.layers
    record = json.loads((tmp_path / "samples" / "samples.json").read_text())
    assert record["sampling"]["cache"]["layers"] == list(layers)


def test_the_library_of_an_example_is_named_where_it_is_missing(others, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['scipy'] = None\n")
    done = vartk("list", "quantizer", sites=[tmp_path, others["kdtree"]])
    assert "(needs scipy)" in done.stdout


def test_it_trains_and_samples_by_name(hello, tmp_path):
    images_folder(tmp_path / "images")
    OmegaConf.save(CONFIG, tmp_path / "tiny.yaml")
    done = run(["-c", TRAIN_AND_SAMPLE], hello, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "samples" / "samples.json").read_text())
    assert record["sampling"]["sampler"] == {"name": "typical", "mass": 0.9}
    assert record["sampling"]["cache"]["parts"][0] == {"name": "strided", "stride": 2}
    with Image.open(tmp_path / "samples" / "000002.png") as image:
        assert image.size == (16, 16)
    tokens = json.loads(next(tmp_path.rglob("tokens.json")).read_text())
    assert tokens["schedule"] == [[1, 1], [2, 2], [3, 3], [4, 4]]


def test_a_plugin_that_fails_to_import_harms_no_other(hello, install):
    broken = install("broken", "import a_library_that_is_not_there")
    done = vartk("list", "schedule", sites=[hello, broken])
    assert "schedule/fibonacci" in done.stdout
    assert "plugin broken of broken failed" in done.stderr
    assert "No module named 'a_library_that_is_not_there'" in done.stderr


def test_a_name_that_is_taken_is_refused_naming_both_distributions(hello, install):
    rival = install("rival", RIVAL)
    done = vartk("list", "schedule", "--json", sites=[hello, rival])
    components = json.loads(done.stdout.splitlines()[-1])["components"]
    (listed,) = [row for row in components if row["name"] == "schedule/fibonacci"]
    assert listed["from"] == "vartk-hello"
    done = vartk("plugins", sites=[hello, rival])
    assert "schedule 'fibonacci' is registered twice: by vartk-hello and by rival" in done.stdout
