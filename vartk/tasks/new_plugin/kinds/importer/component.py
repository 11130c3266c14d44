"""The importer `my-name`."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from vartk_registry import VartkError
from vartk_registry.interfaces import Imported

CONFIG = {"image_size": 64, "tokenizer": {"name": "var_vqvae", "channels": 32}}
"""The configuration of the models that the other project publishes, as in `model.yaml`."""


@dataclass(frozen=True)
class MyComponent:
    """Reads safetensors files whose weights have the names of vartk's modules after a prefix."""

    prefix: str

    def __call__(self, tokenizer: Path, transformer: Path | None) -> Imported:
        """Read the files."""
        return Imported(
            config=CONFIG,
            tokenizer=self._read(tokenizer),
            transformer=self._read(transformer) if transformer else None,
            original_name=lambda name: self.prefix + name,
        )

    def _read(self, path: Path) -> dict[str, torch.Tensor]:
        try:
            weights = load_file(path)
        except (OSError, SafetensorError) as error:
            raise VartkError(f"{path} is no safetensors file that can be read: {error}") from error
        if strange := [name for name in weights if not name.startswith(self.prefix)]:
            raise VartkError(
                f"{path} holds {strange[0]!r}, which does not begin with {self.prefix!r}; set prefix=..."
            )
        return {name.removeprefix(self.prefix): weight for name, weight in weights.items()}
