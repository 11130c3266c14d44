"""Zero-shot tasks of a model of prompts, in Python and on the command line."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_text import PROMPTS, text_model

import vartk as toolkit

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return text_model(tmp_path_factory.mktemp("text") / "encoder")


def test_a_prompt_and_its_opposite_decide_what_is_drawn(model):
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(16, 16)
    mask[:, 4:] = 1
    made = [
        model.inpaint(images, mask, *labels, **how).images
        for labels, how in (
            ([[PROMPTS[0]]], {}),
            ([[PROMPTS[1]]], {}),
            ([[PROMPTS[0]]], {"negative": PROMPTS[1]}),
            ([], {}),
        )
    ]
    for index, image in enumerate(made):
        assert torch.equal(image[..., :4], ((images + 1) / 2)[..., :4])
        assert all(not torch.equal(image, other) for other in made[:index])


def test_prompts_on_the_command_line(model, vartk, refused, model_folder, tmp_path):
    toolkit.save(model, tmp_path / "model")
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    words = (tmp_path / "photo.png", "--box", "0,0,1,0.5", "--out", tmp_path / "out")
    prompt = ("--prompt", PROMPTS[0], "--negative-prompt", PROMPTS[1])
    ran = vartk("edit", tmp_path / "model", *words, *prompt)
    assert ran.code == 0, ran.err
    record = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert record["labels"] == [PROMPTS[0]]
    assert record["negative"] == PROMPTS[1]
    said = refused("edit", model_folder, *words[:-1], tmp_path / "other", *prompt)
    assert "this model draws classes, not prompts" in said
