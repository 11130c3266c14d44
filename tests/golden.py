"""The original's outputs (tests/goldens), and the weights they were computed from.

The weights are rebuilt from each entry's name, shape and rule; nothing of the original is needed.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).parent / "goldens"
NAMES = ("var_tiny", "var_tiny_shared_aln")


@cache
def arrays(name: str) -> dict[str, torch.Tensor]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@cache
def facts(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def weights(name: str, part: str) -> dict[str, torch.Tensor]:
    """The state dict of `part` ("vae" or "var") under the original's names, buffers included."""
    state = {}
    for full_name, shape, dtype, rule in facts(name)["parameters"]:
        if full_name.startswith(f"{part}."):
            state[full_name.removeprefix(f"{part}.")] = _tensor(full_name, shape, dtype, rule)
    return state


def _tensor(full_name: str, shape: list[int], dtype: str, rule: str) -> torch.Tensor:
    if rule == "keep":
        return torch.zeros(shape, dtype=getattr(torch, dtype))
    random = np.random.RandomState(zlib.crc32(full_name.encode()) & 0xFFFFFFFF)
    r = random.standard_normal(shape).astype(np.float32)
    value = {
        "affine": lambda: 1 + 0.1 * r,
        "bias": lambda: 0.1 * r,
        "unit": lambda: r,
        "small": lambda: 0.2 * r,
        "logscale": lambda: np.log(4) + 0.1 * r,
        "fan_in": lambda: r / np.sqrt(np.prod(shape[1:])),
    }[rule]()
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


def assert_close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    """Equal to `tolerance` times the expected values' scale."""
    scale = expected.abs().max().clamp(min=1e-6)
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= tolerance * scale
