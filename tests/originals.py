"""The original's files, made from the golden weights, and what `vartk convert` makes of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import golden
import torch

from vartk.components import plugins
from vartk.hub import convert
from vartk_registry.interfaces import Imported

SETTINGS: dict[str, dict[str, Any]] = {
    "var_tiny": {},
    "var_tiny_shared_aln": {"heads": 2, "cosine": True},
}
"""What the files of each golden model cannot tell."""


def state(name: str, part: str) -> dict[str, torch.Tensor]:
    """Return a state dict as the original saves it, with the buffers that it computes from the schedule."""
    return dict(_state(name, part))


@cache
def _state(name: str, part: str) -> dict[str, torch.Tensor]:
    weights = golden.weights(name, part)
    if part == "var":
        sides = golden.facts(name)["vae"]["v_patch_nums"]
        level_L = torch.tensor([level for level, side in enumerate(sides) for _ in range(side * side)])
        weights["lvl_1L"] = level_L[None]
        hidden_LL = level_L[:, None] < level_L[None, :]
        weights["attn_bias_for_masking"] = torch.zeros(hidden_LL.shape).masked_fill(hidden_LL, -torch.inf)[
            None, None
        ]
    return weights


def files(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a golden model as the original's two files, vae.pth and var.pth."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "vae.pth", folder / "var.pth"
    for path, part in zip(paths, ("vae", "var"), strict=True):
        torch.save(state(name, part), path)
    return paths


def converted(folder: Path, name: str) -> Path:
    """Convert a golden model's files, and return the model folder."""
    model = folder / "model"
    convert(*files(folder, name), model, settings=SETTINGS[name])
    return model


def read(tokenizer: Path, transformer: Path | None = None, **settings: Any) -> Imported:
    """Read files of the original with vartk's importer for them."""
    return plugins().registry.build("importer", "var", settings)(tokenizer, transformer)
