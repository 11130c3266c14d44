"""The presets compose, the official ones are the published models and recipes, `fast` suits them all.

Sizes: arXiv 2404.02905; recipes: the training commands in the original's README.
"""

from dataclasses import dataclass

import pytest
import torch

from vartk.components import plugins
from vartk.config import Config, Layer, SamplingConfig, compose, load_layers, with_preset
from vartk.engine.build import build_schedule, build_tokenizer, grid
from vartk.engine.folder import new_model
from vartk.engine.inference.precision import precision
from vartk.engine.training.optim import learning_rate, peak, weight_decay
from vartk.engine.weightless import weightless

SAMPLING = ("fast",)
PRESETS = sorted(plugins().presets.keys() - SAMPLING)
IMAGENET = 1_281_167


@dataclass
class Published:
    """A row of the paper's table, and its recipe."""

    parameters: int
    tokens: int
    image_size: int
    drop_path: float
    epochs: int
    batch: int
    lr: float
    gain: float
    final_lr: float
    final_weight_decay: float = 0.05
    shared: bool = False


OFFICIAL = {
    "var-d16": Published(310_283_520, 680, 256, 0.0667, 200, 768, 1e-4, 1e-3, 0.1),
    "var-d20": Published(600_917_136, 680, 256, 0.0833, 250, 768, 1e-4, 1e-3, 0.1),
    "var-d24": Published(1_033_399_360, 680, 256, 0.1, 350, 768, 8e-5, 1e-4, 0.01),
    "var-d30": Published(2_010_020_356, 680, 256, 0.125, 350, 1024, 8e-5, 1e-5, 0.01, 0.08),
    "var-d36": Published(2_353_893_904, 2240, 512, 0.15, 350, 768, 8e-5, 5e-6, 0.01, 0.08, shared=True),
}


def composed(name):
    return compose(Config, load_layers(name, plugins()), plugins()).config


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def models():
    """Every official model, without weights."""
    with weightless():
        return {name: new_model(composed(name), plugins()) for name in OFFICIAL}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_composes_and_its_schedule_ends_at_the_latent_grid(name):
    config = composed(name)
    with weightless():
        tokenizer = build_tokenizer(config, plugins().registry)
    latent = tokenizer.latent_grid(grid(config.image_size))
    assert build_schedule(config.schedule, latent, plugins().registry).latent == latent
    assert plugins().presets[name].summary


@pytest.mark.parametrize("name", OFFICIAL)
def test_sizes_are_the_published_ones(name, models):
    model, published = models[name], OFFICIAL[name]
    assert size(model.predictor) == published.parameters
    assert size(model.tokenizer) == 108_948_355
    assert model.schedule.total == published.tokens
    assert model.config.image_size == published.image_size
    assert len(model.classes) == 1000
    depth = int(name.removeprefix("var-d"))
    transformer = model.predictor.transformer
    assert (len(transformer.blocks), transformer.width, transformer.heads) == (depth, 64 * depth, depth)
    assert (transformer.shared_modulation is not None) is published.shared
    assert transformer.blocks[-1].drop_path == pytest.approx(published.drop_path, abs=5e-5)


@pytest.mark.parametrize("name", OFFICIAL)
def test_recipes_are_the_published_ones(name):
    config, published = composed(name), OFFICIAL[name]
    train = config.train.transformer
    assert train.batch == published.batch
    assert peak(train) == pytest.approx(published.lr * train.batch / 256)
    assert train.steps == pytest.approx(published.epochs * IMAGENET / train.batch, rel=1e-3)
    assert train.final_lr == published.final_lr
    assert config.transformer.params["gain_init"] == published.gain
    assert (*train.betas, train.weight_decay, train.clip) == (0.9, 0.95, 0.05, 2.0)
    assert (train.label_drop, train.label_smoothing) == (0.1, 0.0)
    assert train.warmup == pytest.approx(1 / 50)
    assert train.flat == 0.05
    assert (config.augment.scale, config.augment.flip) == (1.125, False)
    assert learning_rate(0, train) == 0.005
    assert learning_rate(train.steps, train) == pytest.approx(published.final_lr)
    assert weight_decay(0, train) == pytest.approx(0.05)
    assert weight_decay(train.steps - 1, train) == pytest.approx(published.final_weight_decay)


@pytest.mark.parametrize("name", OFFICIAL)
def test_sampling_is_that_of_the_published_figures(name):
    sampling = composed(name).sampling
    assert (sampling.guidance.name, sampling.guidance.params["scale"]) == ("linear", 1.5)
    chosen = sampling.sampler.params
    assert (sampling.sampler.name, chosen["top_k"], chosen["top_p"]) == ("categorical", 900, 0.96)


@pytest.mark.parametrize("name", OFFICIAL)
def test_weights_are_known(name):
    weights = plugins().presets[name].weights
    assert weights.repo == "FoundationVision/var"
    assert weights.tokenizer == "vae_ch160v4096z32.pth"
    assert weights.transformer == f"var_d{name[-2:]}.pth"
    assert all(len(digest) == 64 and int(digest, 16) for digest in weights.sha256.values())
    unknown = {"var-d24", "var-d36"}
    assert (weights.transformer in weights.sha256) is (name not in unknown)


def test_published_ratios_are_the_defaults_of_infinity_2b():
    layers = [*load_layers("infinity-2b", plugins()), Layer("test", {"sampling": {"cache": "fastervar"}})]
    cache = compose(Config, layers, plugins()).config.sampling.cache.params
    assert (cache["scales"], cache["group"]) == (3, 4)
    assert [len(row) for row in cache["ratios"]] == [8, 8, 8]
    assert cache["ratios"][0][3] == 0.375


def test_the_tokenizers_recipe():
    train = composed("var-d16").train.tokenizer
    assert (*train.betas, train.lr, train.ema) == (0.5, 0.9, 3e-4, 0.9999)
    assert (train.l1, train.l2, train.vq) == (0.2, 1.0, 1.0)


@pytest.mark.parametrize("name", SAMPLING)
def test_a_preset_of_sampling_suits_every_model(name):
    layers = with_preset(Layer("test", {"preset": name}), plugins())
    sampling, registry = compose(SamplingConfig, layers, plugins()).config, plugins().registry
    for device in ("cpu", "cuda"):
        assert precision(sampling.precision, torch.device(device)).dtype is torch.bfloat16
    pruner = dict(sampling.cache.params["parts"][1])
    pruning = registry.build("cache", pruner.pop("name"), pruner)
    for preset in PRESETS:
        config = composed(preset)
        with weightless():
            tokenizer = build_tokenizer(config, registry)
        schedule = build_schedule(config.schedule, tokenizer.latent_grid(grid(config.image_size)), registry)
        by_scale = pruning.by_scale(len(schedule))
        first = next(step for step, ratio in enumerate(by_scale) if ratio)
        # the coarser half in full, then more and more, and every scale is generated
        assert first > len(schedule) / 2
        assert by_scale[first:] == sorted(by_scale[first:])
        assert pruning.steps(schedule) == len(schedule)
