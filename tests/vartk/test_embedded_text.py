"""The model of prompts in the box: small, of its preset, and what it knows of texts."""

import json

import pytest
import torch

import vartk
from vartk.components import plugins
from vartk.config import Config, compose, load_layers, model_part
from vartk.engine.data import Images
from vartk.engine.recipes import open_datasets
from vartk.hub import find_model

pytest.importorskip("transformers")
pytest.importorskip("all_minilm_l6_v2")

NAME = "emoji64-text"
LIMIT = 30e6
"""Bytes of weights that the wheel has room for."""


def test_it_is_small_and_made_by_its_preset():
    folder = find_model(NAME)
    assert sum(path.stat().st_size for path in folder.glob("*.safetensors")) <= LIMIT
    preset = model_part(compose(Config, load_layers(NAME, plugins()), plugins()).config)
    made = model_part(vartk.load(NAME).config)
    assert made == preset | {"classes": made["classes"]}


def test_it_tells_captions_of_other_groups_and_styles_from_the_right_ones():
    """Pictures of emoji that no training picture shows, and captions with the words of the docs."""
    model = vartk.load(NAME)
    dataset = open_datasets(compose(Config, load_layers(NAME, plugins()), plugins()).config, print)[
        "validation"
    ]
    rows = range(0, len(dataset), 12)
    held_out = Images(dataset, (64, 64))
    codes = model.encode(torch.stack([held_out[row] for row in rows]))
    flat = torch.cat(codes, 1)

    def loss(captions):
        return model.tokenizer.space.loss(model.logits(captions, codes), flat).mean()

    right = [dataset[row].others[0] for row in rows]
    other_things = right[len(right) // 2 :] + right[: len(right) // 2]
    no_text = [None] * len(right)
    assert loss(right) < loss(no_text) - 0.01
    assert loss(right) < loss(other_things) - 0.04


def test_the_documented_command_draws(vartk, tmp_path):
    words = ("--prompt", "a red apple, flat style", "--negative-prompt", "3d", "--out", tmp_path / "out")
    ran = vartk("sample", NAME, *words)
    assert ran.code == 0, ran.err
    made = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert (made["labels"], made["negative"]) == (["a red apple, flat style"], "3d")
    assert (tmp_path / "out" / "000000.png").is_file()
