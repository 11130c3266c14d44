"""Both stages of training in miniature, without randomness beside the seed's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny import tiny_config, tiny_model

from vartk.components import plugins
from vartk.engine.recipes import open_datasets
from vartk.engine.tokens import Tokens
from vartk.engine.training import TokenizerStage, TransformerStage


def tokenizer_stage(images: Path, **settings: Any) -> TokenizerStage:
    """Return the first stage on a folder of images; settings are keys of `train.tokenizer`."""
    keys = {f"train.tokenizer.{key}": value for key, value in settings.items()}
    config = tiny_config(images, **keys)
    return TokenizerStage(
        config, tiny_model(predictor=False), open_datasets(config, print), plugins().registry
    )


def transformer_stage(images: Path, **settings: Any) -> TransformerStage:
    """Return the second stage on random codes; settings are keys of `train.transformer`."""
    keys = {f"train.transformer.{key}": value for key, value in {"label_drop": 0, **settings}.items()}
    config = tiny_config(images, **keys, **{"transformer.drop_path": 0.0})
    model = tiny_model(transformer=config.transformer.params | {"name": "var"})
    codes = torch.randint(24, (9, 21), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    tokens = Tokens(codes, torch.arange(9) % 3, [])
    return TransformerStage(config, model, {"train": tokens, "validation": tokens}, plugins().registry)
