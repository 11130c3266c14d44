"""Both stages of training in miniature, without randomness beside the seed's, and one that fits a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from tiny import tiny_config, tiny_model

from vartk.components import plugins
from vartk.config import StageConfig
from vartk.engine.distributed import ALONE
from vartk.engine.recipes import open_datasets
from vartk.engine.tokens import Tokens
from vartk.engine.training import TokenizerStage, TransformerStage


def tokenizer_stage(
    images: Path, layout: torch.memory_format | None = None, scale_dropout: float = 0, **settings: Any
) -> TokenizerStage:
    """Return the first stage on a folder of images; settings are keys of `train.tokenizer`."""
    keys = {f"train.tokenizer.{key}": value for key, value in settings.items()}
    config = tiny_config(images, **keys)
    dropping = {"scale_dropout": scale_dropout, "scale_keep": 1}
    model = tiny_model(predictor=False, tokenizer=config.tokenizer.params | {"name": "var_vqvae"} | dropping)
    return TokenizerStage(config, model, open_datasets(config, print), plugins().registry, layout)


def transformer_stage(images: Path, **settings: Any) -> TransformerStage:
    """Return the second stage on random codes; settings are keys of `train.transformer`."""
    keys = {f"train.transformer.{key}": value for key, value in {"label_drop": 0, **settings}.items()}
    config = tiny_config(images, **keys, **{"transformer.drop_path": 0.0})
    model = tiny_model(transformer=config.transformer.params | {"name": "var"})
    codes = torch.randint(24, (9, 21), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    tokens = Tokens(codes, torch.arange(9) % 3, [])
    return TransformerStage(config, model, {"train": tokens, "validation": tokens}, plugins().registry)


class Line:
    """A stage that fits w x to 0 where w starts at 1: the loss is (w x)^2 / 2, its gradient w x^2."""

    name = "tokenizer"
    parallel = "ddp"
    opponent = None
    judge = None
    shares: ClassVar[dict[str, float]] = {}

    def __init__(self, batches: Sequence[float], **settings: Any) -> None:
        self.train = StageConfig(steps=len(batches), batch=1, warmup=0, weight_decay=0, **settings)
        self.module = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(self.module.weight)
        self._batches = [torch.tensor([[float(x)]]) for x in batches]

    @property
    def weight(self):
        return self.module.weight.item()

    def batches(self, start, device, world=ALONE):
        return iter(self._batches[start:])

    def loss(self, module, batch):
        return module(batch).square().mean() / 2, {}

    def prepare(self, device, *, compiled):
        pass

    def validate(self, module, device):
        return {}

    def preview(self, module, device):
        return torch.zeros(3, 4, 4)

    def export(self, weights, folder):
        pass
