"""A generator from images to samples: trained by vartk's own loop, resumed, sampled, evaluated."""

import json

import pytest
import tiny
import torch
from PIL import Image

import vartk as toolkit
from vartk.components import plugins
from vartk.engine.folder import save_model
from vartk.engine.recipes import train_generator
from vartk.files import load_tensors
from vartk_registry import VartkError

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of diffusers
]

DIT = {"name": "dit", "depth": 1, "heads": 2, "head_dim": 16, "noise_steps": 20, "steps": 4}
STAGE = {"steps": 4, "batch": 4, "log_every": 1, "eval_every": 2, "eval_images": 4, "preview_every": 4}


def composed(images, **overrides):
    stage = {f"train.generator.{key}": value for key, value in {**STAGE, "save_every": 2}.items()}
    return tiny.tiny_composed(images, **{"generator": DIT, **stage, **overrides})


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny.images_folder(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def tokenizer(images):
    folder = images.parent / "tokenizer"
    save_model(tiny.tiny_model(predictor=False), folder)
    return folder


def trained(images, tokenizer, out, reporter=None, resume=False, **overrides):
    reporter = reporter or tiny.Quiet()
    made = composed(images, **overrides)
    return train_generator(made, tokenizer, out, reporter=reporter, device="cpu", resume=resume)


@pytest.fixture(scope="module")
def run(images, tokenizer):
    trained(images, tokenizer, images.parent / "run", **{"train.generator.ema": 0.5})
    return images.parent / "run"


def test_a_killed_run_goes_on_as_if_it_had_not_been(images, tokenizer, run, tmp_path):
    ema = {"train.generator.ema": 0.5}
    with pytest.raises(tiny.Crash):
        trained(images, tokenizer, tmp_path / "run", tiny.Crashing(3), **ema)
    trained(images, tokenizer, tmp_path / "run", resume=True, **ema)
    whole, resumed = (
        load_tensors(folder / "model" / "generator.safetensors") for folder in (run, tmp_path / "run")
    )
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_its_model_is_loaded_and_sampled(run):
    model = toolkit.load(run, device="cpu")
    together = model.sample(["dark", "stripes", 1], seed=3).images
    assert together.shape == (3, 3, 16, 16)
    torch.testing.assert_close(model.sample([1], seed=5).images, together[2:], atol=1e-5, rtol=0)
    assert not torch.equal(model.sample([1], seed=5, steps=2).images, together[2:])
    places = [state.place for state in model.stream([0], steps=3)]
    assert places == ["step 1/3", "step 2/3", "step 3/3"]


def test_the_command_line(vartk, refused, run, images, tmp_path):
    ran = vartk("sample", run, "generator.steps=2", "--count", 5, "--out", tmp_path / "samples")
    assert ran.code == 0, ran.err
    made = json.loads((tmp_path / "samples" / "samples.json").read_text())
    assert made["sampling"]["generator"]["steps"] == 2
    assert made["classes"] == ["dark", "light", "stripes", "dark", "light"]
    assert "step 2/2" in ran.err
    assert "depth=3: the weights fix this" in refused(
        "sample", run, "generator.depth=3", "--out", tmp_path / "no"
    )
    assert "unknown key 'guidance'" in refused("sample", run, "guidance.scale=3", "--out", tmp_path / "no")
    picture = tmp_path / "picture.png"
    Image.new("RGB", (16, 16)).save(picture)
    message = refused("reconstruct", run, picture, "--out", tmp_path / "no")
    assert "is a generator (dit), which has no scales" in message


def test_it_is_evaluated_as_any_model(vartk, eyes, run, images, tmp_path):
    plugins.cache_clear()
    ran = vartk(
        "eval", run, "--reference", images / "validation", f"feature={eyes}", "--count", 6, "--json",
        "generator.steps=2", "metrics=[fd]",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert json.loads(ran.out.splitlines()[-1])


def test_a_configuration_without_a_generator_is_refused(images, tokenizer, tmp_path):
    with pytest.raises(VartkError, match="names no generator"):
        trained(images, tokenizer, tmp_path / "run", generator={"name": "none"})


def test_a_generator_does_not_blend(run):
    with pytest.raises(VartkError, match="is a blend, which only next-scale models such as emoji64 draw"):
        toolkit.load(run, device="cpu").sample({0: 1, 1: 1})
