"""Whole models, converted from the original's files, against what the original computed.

Legend: B batch, n tokens of a scale, C latent channels, h and w a scale's grid.
"""

import golden
import originals
import pytest
import torch
import torch.nn.functional as F
from tiny import images_folder

import vartk
from vartk.components import plugins
from vartk.config import Config, Layer, compose, nest, plain
from vartk.engine.codes import split, teacher_inputs
from vartk.engine.tokens import Tokens
from vartk.engine.training import TokenizerStage, TransformerStage
from vartk_plugins.original_var.keys import original_name

RUNS = [(name, i) for name in golden.NAMES for i in range(len(golden.facts(name)["infer"]))]
EDITS = [(name, i) for name in golden.NAMES for i in range(len(golden.facts(name)["edit"]))]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Both golden models, through `vartk convert` and `vartk.load`."""
    folder = tmp_path_factory.mktemp("models")
    return {name: vartk.load(originals.converted(folder / name, name)) for name in golden.NAMES}


@pytest.fixture(params=golden.NAMES)
def name(request):
    return request.param


def codes_of(name, model):
    return split(golden.arrays(name)["tokens"].long(), model.schedule)


def sampling_of(run):
    """Return the arguments of `sample` for a run of the original."""
    return {
        "seed": run["g_seed"],
        "guidance": run["cfg"],
        "top_k": run["top_k"],
        "top_p": run["top_p"],
        "smooth": run.get("more_smooth", False),
        "random": "shared",
    }


def test_images_to_tokens_and_back(models, name):
    model, arrays = models[name], golden.arrays(name)
    codes = model.encode(arrays["image"])
    assert [code.shape[1] for code in codes] == list(model.schedule.sizes)
    assert torch.equal(torch.cat(codes, 1), arrays["tokens"].long())
    golden.assert_close(model.decode(codes), arrays["reconstruction"])
    golden.assert_close(teacher_inputs(model.tokenizer, codes, model.schedule), arrays["transformer_input"])


def test_teacher_forced_logits(models, name):
    model, arrays = models[name], golden.arrays(name)
    golden.assert_close(model.logits(arrays["label"], codes_of(name, model)), arrays["logits"])


@pytest.mark.parametrize(("name", "run"), RUNS)
def test_sampling_draws_the_same_tokens_and_images(models, name, run):
    settings = golden.facts(name)["infer"][run]
    out = models[name].sample(settings["labels"], **sampling_of(settings))
    arrays = golden.arrays(name)
    assert torch.equal(torch.cat(out.codes, 1), arrays[f"infer{run}_tokens"].long())
    golden.assert_close(out.images, arrays[f"infer{run}_image"])


@pytest.mark.parametrize(("name", "run"), EDITS)
def test_zero_shot_editing_draws_the_same_tokens_and_image(models, name, run):
    """The original's mask is on the last grid, 1 where cells are given; ours is of pixels, 1 where drawn."""
    model, arrays, settings = models[name], golden.arrays(name), golden.facts(name)["edit"][run]
    image = arrays["image"][:1]
    masks = F.interpolate(1 - arrays[f"edit{run}_mask"][None, None], size=image.shape[-2:], mode="nearest")
    label = settings["label"] if settings["label"] < len(model.classes) else None
    out = model.inpaint(image, masks, [label], composite="codes", **sampling_of(settings))
    assert torch.equal(torch.cat(out.codes, 1), arrays[f"edit{run}_tokens_sampled"].long())
    golden.assert_close(out.images, arrays[f"edit{run}_image"])


def config_of(model, **overrides):
    """Return a training configuration of a golden model."""
    layers = [Layer("model", plain(model.config)), nest(overrides, "test")]
    return compose(Config, layers, plugins()).config


def assert_gradients(module, expected):
    """Compare the norm of each parameter's gradient with the original's."""
    norms = {
        original_name(key, expected): parameter.grad.norm().item()
        for key, parameter in module.named_parameters()
    }
    # a bias that a normalisation cancels has rounding alone for a gradient
    assert norms == pytest.approx(expected, rel=1e-3, abs=1e-6)
    module.zero_grad()


def test_the_tokenizers_training_losses(models, name, tmp_path):
    model, arrays = models[name], golden.arrays(name)
    config = config_of(model, **{"train.tokenizer.l1": 1.0, "train.tokenizer.l2": 0.0})
    registry = plugins().registry
    folder = str(images_folder(tmp_path))
    datasets = {
        split: registry.build("dataset", "folder", {"path": folder}, split=split)
        for split in ("train", "validation")
    }
    stage = TokenizerStage(config, model, datasets, registry)
    total, parts = stage.loss(stage.module, arrays["image"])
    golden.assert_close(parts["vq"], arrays["train_vq_loss"])
    golden.assert_close(parts["l1"], arrays["train_l1"])
    total.backward()
    assert_gradients(stage.module, golden.facts(name)["grad_norms_vae"])


def test_the_transformers_training_loss(models, name):
    model, arrays = models[name], golden.arrays(name)
    config = config_of(model, **{"train.transformer.label_smoothing": 0.1})
    tokens = Tokens(arrays["tokens"], arrays["label"], [""] * len(arrays["label"]))
    stage = TransformerStage(config, model, {"train": tokens, "validation": tokens}, plugins().registry)
    loss, _ = stage.loss(stage.module, (arrays["tokens"].long(), arrays["label"], 0))
    golden.assert_close(loss, arrays["train_ce_smooth0.1"])
    loss.backward()
    assert_gradients(stage.module, golden.facts(name)["grad_norms_var"])


# what vartk promises beyond the original


def test_a_seed_gives_the_same_image_in_any_batch(models):
    model = models["var_tiny"]
    settings = {"random": "per_image", "top_k": 20, "guidance": 2.0}
    together = model.sample([1, 7, 7, 3], seed=[5, 6, 7, 5], **settings)
    for labels, seeds, rows in (([7], [6], [1]), ([3, 7], [5, 7], [3, 2])):
        apart = model.sample(labels, seed=seeds, **settings)
        assert torch.equal(torch.cat(apart.codes, 1), torch.cat(together.codes, 1)[rows])
        golden.assert_close(apart.images, together.images[rows])
    in_turns = model.sample([1, 7, 7, 3], seed=[5, 6, 7, 5], batch=3, **settings)
    assert torch.equal(torch.cat(in_turns.codes, 1), torch.cat(together.codes, 1))
    assert in_turns.seeds == [5, 6, 7, 5]
    again = model.sample([7, 7], seed=6, **settings)
    assert torch.equal(torch.cat(again.codes, 1), torch.cat(together.codes, 1)[[1, 2]])


def test_the_shared_policy_depends_on_the_batch_as_the_original_does(models):
    model = models["var_tiny"]
    alone, pair = (model.sample([1] * n, seed=0, random="shared") for n in (1, 2))
    assert not torch.equal(torch.cat(alone.codes, 1), torch.cat(pair.codes, 1)[:1])


@pytest.mark.parametrize("smooth", [False, True])
def test_streaming_equals_sampling(models, smooth):
    model = models["var_tiny"]
    settings = {"seed": 3, "guidance": 2.0, "smooth": smooth, "top_k": 30}
    out = model.sample([0, 5], **settings)
    states = list(model.stream([0, 5], **settings))
    assert [state.step for state in states] == list(range(len(model.schedule)))
    assert all(torch.equal(state.codes, codes) for state, codes in zip(states, out.codes, strict=True))
    assert torch.equal(states[-1].images, out.images)
    if not smooth:  # a smooth mix is made of more than its codes
        golden.assert_close((model.decode(out.codes) + 1) / 2, out.images)
        golden.assert_close((model.decode(out.codes[:2]) + 1) / 2, states[1].images)


def test_attention_backends_draw_the_same_tokens(models, name):
    model = models[name]
    labels = [1, 2, 3]
    eager, sdpa = (model.sample(labels, seed=1, guidance=3.0, attention=a) for a in ("eager", "sdpa"))
    assert torch.equal(torch.cat(eager.codes, 1), torch.cat(sdpa.codes, 1))
    golden.assert_close(sdpa.images, eager.images)


def test_guidance_of_nothing_is_the_conditional_model(models):
    """Cached steps without the null branch choose what the teacher-forced pass does."""
    model = models["var_tiny"]
    codes = model.sample([1, 7], guidance=0.0, sampler="greedy").codes
    assert torch.equal(model.logits([1, 7], codes).argmax(-1), torch.cat(codes, 1))
