"""The command line in this process, a tiny model on disk, and plugins that are there for one test."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import tiny

from vartk.cli.main import main
from vartk.components import plugins
from vartk.engine.folder import save_model


@pytest.fixture(scope="session", autouse=True)
def _heed_ctrl_c() -> None:
    """Let processes be interrupted: those that a shell starts in the background ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Ran:
    """What a command did: its exit code, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def vartk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run a command line."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> Ran:
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:  # argparse ends so after --help, and at a wrong argument
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Ran(code, out, err)

    return run


@pytest.fixture
def refused(vartk: Callable[..., Ran]) -> Callable[..., str]:
    """Run a command line that must exit with 2 and print no result, and return its message."""

    def run(*words: object) -> str:
        ran = vartk(*words)
        assert (ran.code, ran.out) == (2, ""), ran
        return ran.err

    return run


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the classes `tiny.CLASSES`, with random weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_model(tiny.tiny_model(), folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizer of `model_folder` alone."""
    folder = tmp_path_factory.mktemp("models") / "tokenizer"
    save_model(tiny.tiny_model(predictor=False), folder)
    return folder


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Any]:
    """Install a plugin, by its module's name and source, as the distribution "acme" for one test."""
    with _installing(tmp_path / "site") as write:
        yield write


@pytest.fixture(scope="module")
def module_install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Install as `install` does, for all tests of a module."""
    with _installing(tmp_path_factory.mktemp("module") / "site") as write:
        yield write


@contextmanager
def _installing(site: Path) -> Iterator[Callable[[str, str], str]]:
    site.mkdir()

    def write(module: str, source: str) -> str:
        (site / f"{module}.py").write_text(dedent(source))
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[vartk.plugins]\n{module} = {module}\n")
        plugins.cache_clear()
        return module

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield write
    plugins.cache_clear()


@pytest.fixture
def eyes(install: Any) -> str:
    """A feature of a third party, by its name: a small frozen network of random weights."""
    install(
        "acme_eyes",
        """
        import torch
        from vartk_registry import ComponentSpec, hookimpl

        @hookimpl
        def vartk_components():
            return [ComponentSpec(kind="feature", name="eyes", target="acme_eyes:Eyes", summary="edges")]

        class Eyes(torch.nn.Module):
            label = "Eyes"

            def __init__(self):
                super().__init__()
                with torch.random.fork_rng():
                    torch.manual_seed(0)
                    self.edges = torch.nn.Sequential(
                        torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.BatchNorm2d(6), torch.nn.ReLU()
                    )
                self.eval().requires_grad_(False)

            def distance(self, images, reference):
                return (self.edges(images) - self.edges(reference)).square().mean(dim=(1, 2, 3))

            def pooled(self, images):
                return self.edges(images).mean((2, 3))
        """,
    )
    return "eyes"
