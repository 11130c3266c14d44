"""The tiny configuration as a file, which the benchmarks read."""

import pytest
import tiny
from omegaconf import OmegaConf

from vartk.config import plain


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write the tiny configuration; return its path."""
    path = tmp_path_factory.mktemp("bench") / "tiny.yaml"
    path.write_text(OmegaConf.to_yaml(plain(tiny.tiny_config())))
    return str(path)
