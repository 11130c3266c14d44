"""The original VAR's files, made from golden weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden
import originals
import pytest
import torch


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """The two files of each golden model."""
    return {name: originals.files(tmp_path_factory.mktemp(name), name) for name in golden.NAMES}


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write a golden state dict, changed, and return the file."""

    def write(part: str, *, name: str = golden.NAMES[0], drop: tuple[str, ...] = (), **entries: Any) -> Path:
        state = originals.state(name, part)
        for key in drop:
            del state[key]
        path = tmp_path / f"{part}_changed.pth"
        torch.save(state | entries, path)
        return path

    return write
