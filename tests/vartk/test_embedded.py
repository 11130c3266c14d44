"""The model in the box: small, of its preset, and as good as its card says."""

import torch

import vartk
from vartk.components import plugins
from vartk.config import Config, compose, load_layers, model_part
from vartk.engine.data import Images
from vartk.engine.recipes import open_datasets
from vartk.hub import find_model

NAME = "emoji64"
LIMIT = 24e6
"""Bytes of weights that the wheel has room for."""


def test_it_is_small_and_made_by_its_preset():
    folder = find_model(NAME)
    assert sum(path.stat().st_size for path in folder.glob("*.safetensors")) <= LIMIT
    preset = model_part(compose(Config, load_layers(NAME, plugins()), plugins()).config)
    model = vartk.load(NAME)
    assert model_part(model.config) == preset | {"classes": model.classes}


def test_it_reconstructs_and_knows_its_classes():
    model = vartk.load(NAME)
    config = compose(Config, load_layers(NAME, plugins()), plugins()).config
    dataset = open_datasets(config, print)["validation"]
    assert model.classes == dataset.classes
    held_out = Images(dataset, (64, 64))
    images = torch.stack([held_out[i] for i in range(0, len(held_out), 12)])
    codes = model.encode(images)
    error = (model.decode(codes) - images).square().mean((1, 2, 3)) / 4
    psnr_db = -10 * error.log10().mean()
    assert psnr_db > 24
    right = [dataset[i].label for i in range(0, len(held_out), 12)]
    wrong = [(label + 20) % len(model.classes) for label in right]
    space = model.tokenizer.space
    flat = torch.cat(codes, 1)
    losses = [space.loss(model.logits(labels, codes), flat).mean() for labels in (right, wrong)]
    assert losses[0] < losses[1] - 0.05
