"""Loggers show what the run folder holds, and never stop a run."""

import json
import math
import sys
import time

import pytest
import torch
from tiny import Crash, Crashing, Quiet, images_folder, tiny_composed

from vartk.components import plugins
from vartk.engine.recipes import train_tokenizer
from vartk.engine.training import Run
from vartk_registry import MissingRequirement, VartkError, discover
from vartk_registry.testing import check_logger

REGISTRY = discover(["vartk_plugins.loggers"]).registry
MEMORY = """
from vartk_registry import ComponentSpec, hookimpl

LOGGED, PICTURES, BUILT, CLOSED = [], [], [], []


class Memory:
    def __init__(self, folder, config, step):
        BUILT.append((folder, config, step))

    def log(self, step, values):
        LOGGED.append({"step": step, **values})

    def picture(self, step, image):
        PICTURES.append((step, image))

    def close(self):
        CLOSED.append(len(LOGGED))


class Failing(Memory):
    def log(self, step, values):
        super().log(step, values)
        if step == 2:
            raise ConnectionError("the network is gone")

    def close(self):
        super().close()
        raise ConnectionError("it is still gone")


class Refusing:
    def __init__(self, folder, config, step):
        raise RuntimeError("nobody is logged in")


@hookimpl
def vartk_components():
    return [
        ComponentSpec(kind="logger", name=name, target=f"acme_loggers:{name.title()}", summary="a test's")
        for name in ("memory", "failing", "refusing")
    ] + [
        ComponentSpec(
            kind="logger", name="absent", target="acme_loggers:Memory", summary="a test's",
            requires=("acme_cloud",), install_hint="pip install acme-cloud",
        )
    ]
"""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """The module of an installed plugin with loggers of its own."""
    site = tmp_path / "site"
    info = site / "acme_loggers-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "acme_loggers.py").write_text(MEMORY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vartk.plugins]\nacme = acme_loggers\n")
    monkeypatch.syspath_prepend(site)
    plugins.cache_clear()
    import acme_loggers

    yield acme_loggers
    plugins.cache_clear()
    del sys.modules["acme_loggers"]


def run_with(images, out, logger, reporter=None, resume=False):
    """Train with a logger: 4 steps, a checkpoint after 2, validation and a picture at the end."""
    settings = {f"train.tokenizer.logger{key}": value for key, value in logger.items()}
    composed = tiny_composed(images, **settings)
    train_tokenizer(composed, out, reporter=reporter or Quiet(), device="cpu", resume=resume)
    return Run(out).metrics()


def test_a_logger_of_a_third_party_gets_what_the_run_folder_holds(images, acme, tmp_path):
    metrics = run_with(images, tmp_path / "run", {"": "memory"})
    assert len(metrics) == 5
    assert metrics == acme.LOGGED
    ((step, picture),) = acme.PICTURES
    assert step == 4
    assert picture.shape[0] == 3
    assert 0 <= picture.min() <= picture.max() <= 1
    ((folder, config, start),) = acme.BUILT
    assert (folder, start) == (tmp_path / "run", 0)
    assert config["train"]["tokenizer"]["logger"] == {"name": "memory"}
    assert json.loads(json.dumps(config)) == config
    assert acme.CLOSED == [5]


def test_a_logger_is_closed_when_a_run_dies_and_told_where_it_goes_on(images, acme, tmp_path):
    with pytest.raises(Crash):
        run_with(images, tmp_path / "run", {"": "memory"}, Crashing(at=3))
    assert acme.CLOSED == [3]
    run_with(images, tmp_path / "run", {"": "memory"}, resume=True)
    assert [step for _, _, step in acme.BUILT] == [0, 2]
    assert [line["step"] for line in acme.LOGGED] == [1, 2, 3, 3, 4, 4]


def test_a_logger_that_fails_is_told_of_once_and_the_run_goes_on(images, acme, tmp_path):
    reporter = Quiet()
    metrics = run_with(images, tmp_path / "run", {"": "failing"}, reporter)
    assert [line["step"] for line in metrics] == [1, 2, 3, 4, 4]
    assert [line["step"] for line in acme.LOGGED] == [1, 2]
    assert acme.CLOSED == [2]
    assert acme.PICTURES == []
    assert [event for event in reporter.events if "failed" in event] == [
        "logger 'failing' failed and is left out from now on, metrics.jsonl goes on: "
        "ConnectionError: the network is gone"
    ]


def test_a_logger_that_cannot_start_stops_the_run_which_can_then_go_on(images, acme, tmp_path):
    with pytest.raises(VartkError, match=r"'refusing' could not start: nobody is logged in.*--resume"):
        run_with(images, tmp_path / "run", {"": "refusing"})
    assert len(run_with(images, tmp_path / "run", {"": "none"}, resume=True)) == 5


def test_a_missing_library_is_named_before_there_is_a_run_folder(images, acme, tmp_path):
    with pytest.raises(MissingRequirement, match=r"'absent' needs acme_cloud; pip install acme-cloud"):
        run_with(images, tmp_path / "run", {"": "absent"})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_the_extras_are_named_where_a_library_is_missing(name, monkeypatch):
    monkeypatch.setattr("vartk_registry.registry._importable", lambda module: False)
    with pytest.raises(MissingRequirement, match=rf"needs {name}; pip install 'vartk\[{name}\]'"):
        REGISTRY.require(REGISTRY.find("logger", name))


def tensorboard(folder):
    """Return the accumulated events of a folder."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder), {"scalars": 0, "images": 0, "tensors": 0})
    return events.Reload()


def test_tensorboard_keeps_the_contract(tmp_path):
    pytest.importorskip("tensorboard")
    check_logger(REGISTRY.build("logger", "tensorboard", {}, folder=tmp_path, config={}, step=0))
    events = tensorboard(tmp_path / "tensorboard")
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 1.5), (2, 1.5)]
    assert [math.isnan(event.value) for event in events.Scalars("val_loss")] == [True, True]


def test_tensorboard_shows_each_step_of_a_resumed_run_once(images, tmp_path):
    pytest.importorskip("tensorboard")
    with pytest.raises(Crash):
        run_with(images, tmp_path / "run", {"": "tensorboard"}, Crashing(at=3))
    metrics = run_with(images, tmp_path / "run", {"": "tensorboard"}, resume=True)
    events = tensorboard(tmp_path / "run" / "tensorboard")
    logged = {
        (name, event.step, event.value) for name in events.Tags()["scalars"] for event in events.Scalars(name)
    }
    held = {
        (name, line["step"], torch.tensor(value).item())  # TensorBoard keeps float32
        for line in metrics
        for name, value in line.items()
        if name != "step"
    }
    assert logged == held
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4]
    ((image,), (text, *_)) = events.Images("picture"), events.Tensors("config/text_summary")
    assert image.step == 4
    picture = (tmp_path / "run" / "pictures" / "step-00000004.png").read_bytes()
    assert (image.width, image.height) == tuple(int.from_bytes(picture[i : i + 4]) for i in (16, 20))
    assert b'"name": "tensorboard"' in text.tensor_proto.string_val[0]


@pytest.fixture
def _wandb_alone(tmp_path, monkeypatch):
    """W&B without an account, whose files all go to a temporary folder."""
    pytest.importorskip("wandb")
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


@pytest.mark.usefixtures("_wandb_alone")
def test_wandb_goes_on_with_the_same_run(images, tmp_path):
    logger = {"": "wandb", ".mode": "offline", ".project": "tiny", ".run_name": "first"}
    with pytest.raises(Crash):
        run_with(images, tmp_path / "run", logger, Crashing(at=3))
    time.sleep(1.1)  # W&B names its folders by the second
    run_with(images, tmp_path / "run", logger, resume=True)
    written = sorted((tmp_path / "run" / "wandb").glob("offline-run-*"))
    known = (tmp_path / "run" / "wandb-run-id.txt").read_text()
    assert len(written) == 2
    assert all(path.name.endswith(f"-{known}") for path in written)
    (file,) = written[1].glob("*.wandb")
    patience = time.monotonic() + 30
    while b"val_psnr_db" not in file.read_bytes():  # W&B's own process writes it
        assert time.monotonic() < patience
        time.sleep(0.1)


@pytest.mark.usefixtures("_wandb_alone")
def test_wandb_disabled_writes_nothing(tmp_path):
    params = {"mode": "disabled"}
    check_logger(REGISTRY.build("logger", "wandb", params, folder=tmp_path, config={}, step=0))
    assert not (tmp_path / "wandb").exists()


@pytest.mark.usefixtures("_wandb_alone")
def test_wandb_without_an_account_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(VartkError, match=r"API key.*; type `wandb login`, or log with mode=offline"):
        REGISTRY.build("logger", "wandb", {}, folder=tmp_path, config={}, step=0)
