"""Steps of training on random data: the engine's own, as the rows of the benchmark say."""

from __future__ import annotations

from typing import Any

import torch

from ...components import plugins
from ...config import Config
from ...engine.build import grid
from ...engine.folder import new_model
from ...engine.training import TokenizerStage, TransformerStage
from ...engine.training.trainer import Trainer
from ..model import draw_weights
from .rows import Row


class TransformerRunner:
    """Does steps of a transformer's row, on random images, classes and weights.

    Args:
        like: another row's runner, with which it shares weights, gradients and optimizer.
        encode: whether the codes made beforehand are those of the images; else they are random.
    """

    def __init__(
        self,
        row: Row,
        config: Config,
        device: torch.device,
        like: TransformerRunner | None = None,
        *,
        encode: bool = True,
    ) -> None:
        torch.manual_seed(0)
        self.row = row
        self.model = new_model(config, plugins())
        tokenizer, predictor = self.model.modules()
        tokenizer.eval().requires_grad_(False)
        if like is None:
            draw_weights(predictor)
        else:
            for own, its in zip(self.model.modules(), like.model.modules(), strict=True):
                own.load_state_dict(its.state_dict(keep_vars=True), assign=True)
        self.model.to(device)
        self.stage = TransformerStage(config, self.model, {}, plugins().registry)
        self.trainer = Trainer(self.stage, device)
        if like is not None:
            self.trainer.optimizer = like.trainer.optimizer
        generator = torch.Generator().manual_seed(0)
        batch = config.train.transformer.batch
        self.images = _images(config, batch, generator).to(device)
        self.conditions = _conditions(predictor.conditioner, batch).to(device)
        self.codes = self.encoded() if encode else self._random_codes(generator).to(device)

    def encoded(self) -> torch.Tensor:
        """Return the codes [B, L, *shape] of the images."""
        return torch.cat(self.model.encode(self.images), dim=1)

    def _random_codes(self, generator: torch.Generator) -> torch.Tensor:
        space = self.model.tokenizer.space
        size = (len(self.images), self.model.schedule.total, *space.shape)
        return torch.randint(space.classes, size, generator=generator)

    def step(self) -> dict[str, Any]:
        """Do one step of training, and return its numbers."""
        codes = self.encoded() if self.row.encodes else self.codes
        return self.trainer.update(1, (codes, self.conditions, 0)).values

    def numbers(self) -> dict[str, float]:
        """Return the losses and the gradient's norm of a step in which nothing is dropped."""
        torch.manual_seed(0)
        self.trainer.module.eval()
        values = self.step()
        self.trainer.module.train()
        return {name: float(v) for name, v in values.items() if name.startswith(("loss", "grad"))}


class TokenizerRunner:
    """Does steps of a tokenizer's row, opponent and perceptual distance included, on random images.

    Each has weights of its own, drawn alike, because their layout differs.
    """

    def __init__(self, row: Row, config: Config, device: torch.device) -> None:
        torch.manual_seed(0)
        self.row = row
        self.model = new_model(config, plugins(), predictor=False)
        layout = getattr(torch, row.layout) if row.layout else None
        no_data: dict[str, Any] = {"train": (), "validation": ()}
        self.stage = TokenizerStage(config, self.model, no_data, plugins().registry, layout)
        self.trainer = Trainer(self.stage, device)
        images = _images(config, config.train.tokenizer.batch, torch.Generator().manual_seed(0))
        self.images = images.to(device).contiguous(memory_format=self.stage.layout_on(device))

    def step(self) -> dict[str, Any]:
        """Do one step of training, and return its numbers."""
        return self.trainer.update(1, self.images).values

    def numbers(self) -> dict[str, float]:
        """Return the losses of the images and the gradient's norm, without dropout."""
        torch.manual_seed(0)
        opponent = self.stage.opponent
        modules = [self.trainer.module] if opponent is None else [self.trainer.module, opponent.module]
        for module in modules:
            module.eval()
        values = self.step()
        for module in modules:
            module.train()
        compared = ("loss", "l1", "l2", "perceptual", "grad_norm")
        return {name: float(values[name]) for name in compared if name in values}


AnyRunner = TransformerRunner | TokenizerRunner


def make_runner(
    row: Row, config: Config, device: torch.device, like: AnyRunner | None = None, *, encode: bool = True
) -> AnyRunner:
    """Return the runner of a row; see `TransformerRunner` for the arguments."""
    if row.stage == "tokenizer":
        return TokenizerRunner(row, config, device)
    assert not isinstance(like, TokenizerRunner)
    return TransformerRunner(row, config, device, like, encode=encode)


def _images(config: Config, batch: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(batch, 3, *grid(config.image_size), generator=generator).mul(2).sub(1)


def _conditions(conditioner: Any, batch: int) -> torch.Tensor:
    """Return the conditions of some classes or captions."""
    texts = ["a picture"] * batch
    if conditioner.takes == "caption":
        return conditioner.parse(texts)
    labels = [index % len(conditioner.choices) for index in range(batch)]
    return conditioner.parse(
        labels if conditioner.takes == "label" else list(zip(labels, texts, strict=True))
    )
