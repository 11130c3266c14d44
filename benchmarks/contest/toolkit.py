"""Runs vartk, with its defaults and the weights of the original."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vartk.components import plugins
from vartk.config import Config, compose, load_layers, nest
from vartk.engine.folder import new_model
from vartk.engine.model import Model
from vartk.engine.training import TransformerStage
from vartk.engine.training.trainer import Trainer
from vartk.engine.weightless import weightless
from vartk_plugins.original_var.keys import tokenizer_state, transformer_state
from vartk_registry import VartkError

from .size import LATENT, VOCABULARY, Size

BASE = "var-d16"


class Toolkit:
    """vartk's model of a preset var-dDEPTH, or of `BASE` with another depth where there is none.

    Args:
        weights: the original's state dicts of the tokenizer and of the transformer; without them the model
            has initial weights.
    """

    name = "vartk"

    def __init__(
        self,
        size: Size,
        depth: int,
        device: torch.device,
        weights: tuple[Mapping[str, Tensor], Mapping[str, Tensor]] | None,
    ) -> None:
        self.size, self.device = size, device
        self.config = _config(size, depth)
        if weights is None:
            self.model = new_model(self.config, plugins()).to(device)
        else:
            with weightless():
                self.model = new_model(self.config, plugins())
            renamed = tokenizer_state(weights[0]), transformer_state(weights[1])
            for module, tensors in zip(self.model.modules(), renamed, strict=True):
                module.load_state_dict({name: t.clone() for name, t in tensors.items()}, assign=True)
        for module in self.model.modules():
            module.eval().requires_grad_(False)

    def logits(self, labels: Tensor, codes: Tensor) -> Tensor:
        """Return the teacher-forced logits [N, L, V] of codes [N, L], in fp32."""
        return self.model.logits(labels, codes.split(self.model.schedule.sizes, dim=1))

    def sampler(self, batch: int) -> Callable[[], Tensor]:
        """Return a function that samples with every setting at its default; the images are in [0, 1]."""
        own = self.model
        # another model on the same modules: what it prepares for inference goes when the function goes
        model = Model(own.config, own.tokenizer, own.schedule, own.predictor, own.plugins)
        labels = self.size.labels(batch, torch.device("cpu")).tolist()

        def sample() -> Tensor:
            for state in model.stream(labels):
                last = state
            return last.images

        return sample

    def trainer(self, batch: int) -> Callable[[], Tensor]:
        """Return a function that does a step of `vartk train transformer` on codes."""
        config = copy.deepcopy(self.config)
        config.train.transformer.batch = batch
        for module in self.model.modules()[1:]:
            module.requires_grad_(True)
        trainer = Trainer(TransformerStage(config, self.model, {}, plugins().registry), self.device)
        data = self.size.codes(batch, self.device), self.size.labels(batch, self.device)
        return lambda: trainer.update(1, data).values["loss"]


def _config(size: Size, depth: int) -> Config:
    preset = f"var-d{depth}"
    try:
        layers = load_layers(preset, plugins())
    except VartkError:
        layers = load_layers(BASE, plugins())
    settings = {
        "image_size": size.pixels,
        "tokenizer.channels": size.channels,
        "tokenizer.latent": LATENT,
        "quantizer.classes": VOCABULARY,
        "schedule": {"name": "custom", "grids": list(size.sides)},
        "conditioner.count": size.classes,
        "transformer.depth": depth,
    }
    return compose(Config, [*layers, nest(settings, "size")], plugins()).config
