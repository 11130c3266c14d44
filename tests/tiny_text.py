"""A model of prompts in miniature: Infinity's parts, and a T5 of random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import encoders
from PIL import Image
from tiny import tiny_model

from vartk.engine.model import Model

CAPTIONS = ("a red apple", "the green pear", "a pear", "a red apple and a pear")
PROMPTS = ("a red apple", "the green pear in flat style", "a pear")


def text_model(folder: Path, **overrides: Any) -> Model:
    """Build a model of 16-pixel images; the encoder is written to a folder that does not exist."""
    encoder = folder if folder.is_dir() else encoders.write(folder, "t5")
    parts = {
        "tokenizer": {"name": "bsq_vae", "channels": 32, "multipliers": [1, 1, 1], "blocks": 1, "latent": 4},
        "quantizer": "bsq",
        "conditioner": {"name": "text", "encoder": "t5", "model": str(encoder), "length": 8},
        "transformer": {"name": "infinity", "depth": 2, "width": 32, "heads": 2, "text_width": 128},
        "classes": [],
    }
    return tiny_model(**(parts | overrides))


def captioned_photos(folder: Path, validation: int = 1) -> Path:
    """Write four training images with a label and two captions, but the last, and some to validate with."""
    rows = []
    for index, caption in enumerate([*CAPTIONS, *["a red pear"] * validation]):
        Image.new("RGB", (16, 16), (50 * index, 0, 99)).save(folder / f"{index}.png")
        captions = [caption, "the apple of " + caption] if index != 3 else [caption]
        row = {"label": "dark" if index % 2 else "light", "captions": captions}
        rows.append({"file_name": f"{index}.png", "split": "train" if index < 4 else "validation", **row})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder
