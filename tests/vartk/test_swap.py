"""Every registered component that a model is composed of, by its name, through training and sampling."""

import copy
import tarfile

import pytest
import torch
from tiny import CONFIG, Quiet, images_folder

from vartk.components import plugins
from vartk.config import Config, Layer, compose, nest
from vartk.engine.folder import load_model
from vartk.engine.recipes import (
    open_datasets,
    tokenize_dataset,
    tokenizer_layer,
    train_tokenizer,
    train_transformer,
)
from vartk_registry import MissingRequirement, VartkError
from vartk_registry.interfaces import AttentionRequest
from vartk_registry.masks import MaskSpec

REGISTRY = plugins().registry
PARAMS = {
    "schedule/custom": {"grids": [1, [2, 1], 4]},
    "tokenizer/bsq_vae": {"channels": 32, "multipliers": [1, 1, 1], "blocks": 1},
    "quantizer/fsq": {"levels": [3] * CONFIG["tokenizer"]["latent"]},
}
"""Parameters of the components that cannot do without."""

FOR_TEXT = {"conditioner/text", "transformer/infinity"}
"""Components that need captions and an encoder of text; their own tests train them."""

ONE_STEP = {"steps": 1, "batch": 1, "eval_images": 1}
FITTING = {  # the image size and the strides whose latent a fixed schedule ends at
    16: (32, [1, 1]),
    32: (32, [1]),
    64: (64, [1]),
}


def each(kind):
    """Run a test with every component of a kind."""
    return pytest.mark.parametrize("name", REGISTRY.names(kind))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"), train=3, validation=1)


@pytest.fixture(scope="module")
def composed_of(images):
    """Composes the tiny configuration, trained for a step, with other components."""

    def of(*layers, **settings):
        tiny = copy.deepcopy(CONFIG)
        tiny["train"] = {"tokenizer": dict(ONE_STEP), "transformer": dict(ONE_STEP)}
        data = {"dataset": {"name": "folder", "path": str(images)}}
        return compose(
            Config, [Layer("tiny", tiny), Layer("images", data), *layers, nest(settings, "test")], plugins()
        )

    return of


@pytest.fixture(scope="module")
def train(composed_of):
    """Trains both stages, a step each, and returns what they left in a folder."""

    def run(out, **settings):
        composed = composed_of(**settings)
        tokenizer = train_tokenizer(composed, out / "tokenizer", reporter=Quiet(), device="cpu")
        composed = composed_of(tokenizer_layer(tokenizer, plugins()), **settings)
        tokenize_dataset(composed.config, tokenizer, out / "tokens", device="cpu", progress=lambda *_: None)
        model = train_transformer(
            composed, tokenizer, out / "tokens", out / "transformer", reporter=Quiet(), device="cpu"
        )
        return load_model(model, plugins())

    return run


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory):
    """A folder with both stages of the tiny model, and the model."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(folder)


def slot(kind, name, **params):
    return {kind: {"name": name, **PARAMS.get(f"{kind}/{name}", {}), **params}}


def require_samples(model, scales=None, **settings):
    """Sample two images twice: whole, of the right codes and the same for the same seed.

    `scales` is the number of those that are generated, from the first; None means all.
    """
    made = model.sample([0, 1], seed=3, **settings)
    again = model.sample([0, 1], seed=3, **settings)
    side = model.config.image_size
    assert made.images.shape == (2, 3, side, side)
    assert made.images.isfinite().all()
    assert made.images.min() >= 0
    assert made.images.max() <= 1
    sizes = model.schedule.sizes[:scales]
    if not model.schedule.raster:  # codes are those of the whole grid
        assert [code.shape[:2] for code in made.codes] == [(2, size) for size in sizes]
    for code, repeated in zip(made.codes, again.codes, strict=True):
        assert code.min() >= 0
        assert code.max() < model.tokenizer.space.classes
        assert torch.equal(code, repeated)
    return made


@each("schedule")
def test_schedule(train, tmp_path, name):
    chosen = slot("schedule", name)
    latent, _ = REGISTRY.build("schedule", name, PARAMS.get(f"schedule/{name}", {}))((4, 4)).latent
    if latent in FITTING:  # a fixed list, which does not care about the latent asked for
        side, multipliers = FITTING[latent]
        chosen |= {
            "image_size": side,
            "tokenizer": {**CONFIG["tokenizer"], "multipliers": multipliers},
            "transformer": {**CONFIG["transformer"], "depth": 1},
            "sampling.guidance.scale": 0,
        }
    model = train(tmp_path, **chosen)
    assert model.schedule.latent == (latent, latent)
    require_samples(model)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in ("quantizer", "tokenizer", "transformer", "conditioner")
        for name in REGISTRY.names(kind)
        if f"{kind}/{name}" not in FOR_TEXT
    ],
)
def test_part_of_a_model(train, tmp_path, kind, name):
    own = CONFIG.get(kind, {})
    model = train(tmp_path, **(slot(kind, **own) if own.get("name") == name else slot(kind, name)))
    assert getattr(model.config, kind).name == name
    require_samples(model)


@each("sampler")
def test_sampler(trained, name):
    require_samples(trained[1], **slot("sampler", name))


@each("guidance")
def test_guidance(trained, name):
    require_samples(trained[1], **slot("guidance", name))


@each("cache")
def test_cache(trained, name):
    strategy = REGISTRY.build("cache", name, PARAMS.get(f"cache/{name}", {}))
    model = trained[1]
    made = require_samples(model, strategy.steps(model.schedule), **slot("cache", name))
    if strategy.lossless:
        full = trained[1].sample([0, 1], seed=3, cache="full")
        assert all(map(torch.equal, made.codes, full.codes))


@each("schedule")
def test_schedule_of_sampling(trained, name):
    """A model samples under another schedule than its own, where that ends at the same latent."""
    chosen = slot("schedule", name)
    model = trained[1]
    latent = REGISTRY.build("schedule", name, PARAMS.get(f"schedule/{name}", {}))((4, 4)).latent
    if name == "raster":
        with pytest.raises(VartkError, match="not one code after another"):
            model.sample([0, 1], **chosen)
    elif latent == (4, 4):
        assert model.sample([0, 1], **chosen).codes[-1].shape == (2, 16)
    else:
        with pytest.raises(
            VartkError,
            match=r"latent grid at this image size is 4x4|has no scales for an image size of \[16,16\]",
        ):
            model.sample([0, 1], **chosen)


@each("attention")
def test_attention(trained, composed_of, tmp_path, name):
    folder, model = trained
    try:
        backend = REGISTRY.build("attention", name, {})
    except MissingRequirement as error:
        pytest.skip(str(error))
    reasons = [backend.unavailable()] if backend.unavailable() else []
    heads, width = CONFIG["transformer"]["heads"], CONFIG["transformer"]["width"]
    mask = MaskSpec.scale_causal(model.schedule)
    request = AttentionRequest(mask, heads, width // heads, "float32", "cpu", needs_grad=True)
    if reasons := reasons or backend.unsupported(request):
        pytest.skip(f"attention {name}: {'; '.join(reasons)}")
    tokenizer = folder / "tokenizer" / "model"
    composed = composed_of(tokenizer_layer(tokenizer, plugins()), **{"train.transformer.attention": name})
    train_transformer(
        composed, tokenizer, folder / "tokens", tmp_path / "run", reporter=Quiet(), device="cpu"
    )
    made = require_samples(load_model(tmp_path / "run" / "model", plugins()), attention=name)
    eager = load_model(tmp_path / "run" / "model", plugins()).sample([0, 1], seed=3, attention="eager")
    assert torch.allclose(made.images, eager.images, atol=1e-4)


@each("dataset")
def test_dataset(composed_of, images, tmp_path, name):
    if name == "webdataset":
        with tarfile.open(tmp_path / "a.tar", "w") as shard:
            for image in images.glob("train/*/*.png"):
                shard.add(image, arcname=image.name)
    needed = {"folder": {"path": str(images)}, "webdataset": {"train": str(tmp_path / "a.tar")}}
    composed = composed_of(**slot("dataset", name, **needed.get(name, {})))
    train_tokenizer(composed, tmp_path / "run", reporter=Quiet(), device="cpu")
    model = load_model(tmp_path / "run" / "model", plugins())
    assert model.config.classes == open_datasets(composed.config, print)["train"].classes


@each("metric")
def test_metric(trained, name):
    images = trained[1].sample([0, 1] * 3).images  # as many as the nearest neighbours of a metric need
    metric = REGISTRY.build("metric", name, {})
    if metric.takes == "images":
        metric.update(images, images.roll(1, dims=-1))
    else:
        features = images.mean((2, 3))
        metric.update(features, features + 1)
    assert metric.compute()
