"""Features of captions, made once and stored beside the codes, so that training never runs the encoder.

Legend: n tokens of a text, T width of the features.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import EncodingConditioner

from ..files import load_tensors, save_tensors

FEATURES, TEXTS = "captions.safetensors", "captions.json"
AT_ONCE = 64
"""Texts that are encoded at once, of about the same length."""


@torch.no_grad()
def write_features(
    folder: Path,
    conditioner: EncodingConditioner,
    texts: Sequence[str],
    device: torch.device,
    progress: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """Write the features of each distinct text in half precision, and return what they depend on."""
    distinct = sorted({text for text in texts if text.strip()}, key=lambda text: (len(text), text))
    features: list[torch.Tensor] = []
    for start in range(0, len(distinct), AT_ONCE):
        made = conditioner.encode(distinct[start : start + AT_ONCE], device)
        features += [each.half().cpu() for each in made]
        progress("captions", len(features), len(distinct))
    lengths = torch.tensor([len(each) for each in features], dtype=torch.int32)
    joined = torch.cat(features) if features else torch.empty(0, 0, dtype=torch.float16)
    save_tensors({"features": joined, "lengths": lengths}, folder / FEATURES)
    (folder / TEXTS).write_text(json.dumps(distinct))
    return conditioner.encoder_info()


def read_features(folder: Path, made_by: Mapping[str, Any], conditioner: EncodingConditioner) -> None:
    """Let a conditioner remember the features of a folder.

    Args:
        made_by: what `write_features` returned.

    Raises:
        VartkError: another encoder made them, or the files are missing or damaged.
    """
    ours = conditioner.encoder_info()
    differ = [
        f"{key} is {made_by.get(key)} and not {ours[key]}" for key in ours if made_by.get(key) != ours[key]
    ]
    if differ:
        raise VartkError(
            f"the features of captions in {folder} were made by another encoder: {'; '.join(differ)}; make "
            "them again with `vartk tokenize`, or take the encoder's settings"
        )
    tensors = load_tensors(folder / FEATURES)
    try:
        texts = json.loads((folder / TEXTS).read_text())
        features = tensors["features"].split(tensors["lengths"].tolist())
        conditioner.remember(texts, features)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise VartkError(f"{folder} has no whole features of captions: {error}; make them again") from error
