"""A model of prompts in miniature: Infinity's parts, and a T5 of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import encoders
from tiny import tiny_model

from vartk.engine.model import Model

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
