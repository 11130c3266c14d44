"""Both stages on tiny real data: what they learn, write and report."""

import json
import math

import pytest
import torch
import yaml
from PIL import Image
from tiny import CLASSES, Quiet, images_folder, tiny_composed, tiny_config, tiny_model

from vartk.components import plugins
from vartk.engine.folder import load_model, save_model
from vartk.engine.recipes import open_datasets, tokenize_dataset, train_tokenizer, train_transformer
from vartk.engine.tokens import load_tokens
from vartk.engine.training import Run, TokenizerStage, TransformerStage
from vartk_registry import VartkError

TOKENIZER = {
    "train.tokenizer.steps": 30,
    "train.tokenizer.lr": 3e-3,
    "train.tokenizer.warmup": 0,
    "train.tokenizer.save_every": 10,
    "train.tokenizer.eval_every": 15,
    "train.tokenizer.preview_every": 15,
    "augment.scale": 1.0,
}
TRANSFORMER = {
    "train.transformer.steps": 40,
    "train.transformer.batch": 9,
    "train.transformer.lr": 1e-2,
    "train.transformer.save_every": 20,
    "train.transformer.ema": 0.5,
    "train.transformer.views": 2,
    "train.transformer.precision": "bf16",
    "augment.scale": 1.0,
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def stage_one(images, tmp_path_factory):
    out, reporter = tmp_path_factory.mktemp("one") / "run", Quiet()
    model = train_tokenizer(tiny_composed(images, **TOKENIZER), out, reporter=reporter, device="cpu")
    return model, reporter


@pytest.fixture(scope="module")
def tokens(images, stage_one, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "tokens"
    config = tiny_config(images, **TRANSFORMER)
    tokenize_dataset(config, stage_one[0], folder, device="cpu", progress=lambda *args: None)
    return folder


@pytest.fixture(scope="module")
def stage_two(images, stage_one, tokens, tmp_path_factory):
    out, reporter = tmp_path_factory.mktemp("two") / "run", Quiet()
    composed = tiny_composed(images, **TRANSFORMER)
    model = train_transformer(composed, stage_one[0], tokens, out, reporter=reporter, device="cpu")
    return model, reporter


def values(run, name):
    return [line[name] for line in run.metrics() if name in line]


def test_the_tokenizer_learns(stage_one):
    run = Run(stage_one[0].parent)
    losses, quality = values(run, "loss"), values(run, "val_psnr_db")
    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])  # 0.69 to 0.75 with three seeds and both layouts
    assert len(quality) == 2
    assert quality[1] > quality[0] > 5


def test_the_transformer_learns(stage_two):
    run = Run(stage_two[0].parent)
    losses = values(run, "loss")
    assert losses[0] == pytest.approx(math.log(24), abs=0.1)  # nothing is known at first
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    for prefix in ("", "val_"):
        accuracies = [values(run, f"{prefix}accuracy_{k}")[-1] for k in range(3)]
        mean = sum(accuracy * size for accuracy, size in zip(accuracies, (1, 4, 16), strict=True)) / 21
        assert all(0 <= accuracy <= 1 for accuracy in accuracies)
        assert values(run, f"{prefix}accuracy")[-1] == pytest.approx(mean)
    by_scale = [values(run, f"val_loss_{k}")[-1] for k in range(3)]
    sizes = (1, 4, 16)
    mean = sum(loss * size for loss, size in zip(by_scale, sizes, strict=True)) / 21
    for line in (line for line in run.metrics() if "loss" in line):
        parts = [line[f"loss_{k}"] for k in range(3)]
        total = sum(loss * size for loss, size in zip(parts, sizes, strict=True)) / 21
        assert line["loss"] == pytest.approx(total, rel=1e-5)
    assert values(run, "val_loss")[-1] == pytest.approx(mean, rel=1e-5)


def test_the_validation_loss_is_the_saved_models(stage_one, stage_two, tokens):
    """A second computation, of the saved weights (which are the average) and in float32."""
    model = load_model(stage_two[0], plugins())
    held_out = load_tokens(tokens, stage_one[0], model.schedule)["validation"]
    codes = held_out.codes[:4].long()
    logits = model.logits(held_out.labels[:4], codes.split(model.schedule.sizes, dim=1))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), codes.flatten())
    assert values(Run(stage_two[0].parent), "val_loss")[-1] == pytest.approx(loss.item(), rel=1e-2)


def test_the_run_folder(stage_one, images):
    folder = stage_one[0].parent
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "model",
        "pictures",
        "sources.json",
    ]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["train"]["tokenizer"]["lr"] == 3e-3
    assert config["train"]["tokenizer"]["clip"] == 2.0  # a default
    assert config["dataset"] == {"name": "folder", "path": str(images), "validation": 0.1}
    assert config["classes"] == CLASSES
    sources = json.loads((folder / "sources.json").read_text())
    assert sources["train.tokenizer.lr"] == "test"
    assert sources["train.tokenizer.batch"] == "tiny"
    assert sources["train.tokenizer.clip"] == "default"
    assert sources["classes"] == "dataset folder"
    environment = json.loads((folder / "environment.json").read_text())
    assert torch.__version__.startswith(environment["torch"])
    assert [path.name for path in sorted((folder / "checkpoints").iterdir())] == [
        "step-00000020",
        "step-00000030",
    ]
    pictures = sorted((folder / "pictures").iterdir())
    assert [path.name for path in pictures] == ["step-00000015.png", "step-00000030.png"]
    with Image.open(pictures[0]) as picture:
        assert picture.size == (6 * 96 + 5 * 2, 2 * 96 + 2)  # 16 pixels, six times enlarged
    assert not list(folder.rglob(".*.partial"))


def test_the_reporter_hears_of_everything(stage_one):
    _, reporter = stage_one
    assert reporter.steps == list(range(1, 31))
    kinds = [(text.split()[1], text.split()[2].rstrip(":")) for text in reporter.events]
    assert kinds == [("15", "validation"), ("15", "picture"), ("30", "validation"), ("30", "picture")]
    assert "psnr_db" in reporter.events[0]


def test_the_model_folders_make_images(stage_one, stage_two):
    alone, whole = load_model(stage_one[0], plugins()), load_model(stage_two[0], plugins())
    assert alone.predictor is None
    assert whole.classes == CLASSES
    assert whole.sample(["stripes"]).images.shape == (1, 3, 16, 16)
    for key, tensor in alone.tokenizer.state_dict().items():
        assert torch.equal(tensor, whole.tokenizer.state_dict()[key])
    assert "stripes" in (stage_two[0] / "README.md").read_text()


def test_the_average_is_saved_and_not_the_last_weights(images, tmp_path):
    def trained(name, ema):
        overrides = {"train.tokenizer.steps": 2, "train.tokenizer.ema": ema, "train.tokenizer.warmup": 0}
        composed = tiny_composed(images, **overrides)
        folder = train_tokenizer(composed, tmp_path / name, reporter=Quiet(), device="cpu")
        return load_model(folder, plugins()).tokenizer.state_dict()["phi.0.weight"]

    averaged, last = trained("averaged", 0.9999), trained("last", 0.0)
    torch.manual_seed(0)
    first = tiny_model(predictor=False).tokenizer.state_dict()["phi.0.weight"]
    assert not torch.equal(averaged, last)
    assert (averaged - first).norm() < (last - first).norm()


def test_labels_are_dropped_in_training_alone(stage_one, tokens, images):
    config = tiny_config(images, **{**TRANSFORMER, "train.transformer.label_drop": 1.0, "classes": CLASSES})
    model = tiny_model()
    loaded = load_tokens(tokens, stage_one[0], model.schedule)
    stage = TransformerStage(config, model, loaded, plugins().registry)
    codes = loaded["train"].codes[:2].long()

    def loss(label, training):
        stage.module.train(training)
        for block in stage.module.transformer.blocks:
            block.drop_path = 0.0
        with torch.no_grad():
            return stage.loss(stage.module, (codes, torch.tensor([label, label]), 0))[0].item()

    assert loss(0, True) == loss(1, True) == loss(3, False)
    assert loss(0, False) != loss(1, False)


def test_mistakes_are_made_in_training_alone(stage_one, tokens, images):
    model = tiny_model()
    loaded = load_tokens(tokens, stage_one[0], model.schedule)
    labels = torch.tensor([0, 1, 2, 0])
    codes = loaded["train"].codes[: len(labels)].long()

    def loss(most, training):
        keys = {"train.transformer.self_correction": most, "train.transformer.label_drop": 0.0}
        config = tiny_config(images, **{**TRANSFORMER, **keys, "classes": CLASSES})
        stage = TransformerStage(config, model, loaded, plugins().registry)
        stage.module.train(training)
        for block in stage.module.transformer.blocks:
            block.drop_path = 0.0
        with torch.no_grad():
            return stage.loss(stage.module, (codes, labels, 0))[0].item()

    assert loss(0.0, True) == loss(0.0, False) == loss(1.0, False)
    assert loss(1.0, True) != loss(0.0, True)


def test_the_losses_are_those_of_the_configuration(images):
    config = tiny_config(
        images, **{"train.tokenizer.l1": 3, "train.tokenizer.l2": 5, "train.tokenizer.vq": 7}
    )
    stage = TokenizerStage(
        config, tiny_model(predictor=False), open_datasets(config, print), plugins().registry
    )
    batch = next(stage.batches(0, torch.device("cpu")))
    with torch.no_grad():
        total, parts = stage.loss(stage.module, batch)
        made = stage.module(batch, tiny_model().schedule).images
    assert parts["l1"] == pytest.approx((made - batch).abs().mean().item())
    assert parts["l2"] == pytest.approx((made - batch).square().mean().item())
    assert total.item() == pytest.approx(
        (3 * parts["l1"] + 5 * parts["l2"] + 7 * parts["vq"]).item(), rel=1e-5
    )


def test_a_run_that_diverges_is_stopped(images, tmp_path):
    overrides = {
        "train.tokenizer.lr": 1e20,
        "train.tokenizer.warmup": 0,
        "train.tokenizer.save_every": 1,
        "train.tokenizer.steps": 30,
    }
    with pytest.raises(
        VartkError, match=r"step \d+: the loss is \S+ and its gradient \S+; 10 steps in a row"
    ):
        train_tokenizer(tiny_composed(images, **overrides), tmp_path / "run", reporter=Quiet(), device="cpu")


def test_an_existing_run_is_not_overwritten(images, stage_one):
    out = stage_one[0].parent
    before = sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*"))
    with pytest.raises(VartkError, match="exists and is not overwritten"):
        train_tokenizer(tiny_composed(images), out, reporter=Quiet(), device="cpu")
    assert sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*")) == before


def test_no_validation_images(images, tmp_path):
    overrides = {"dataset.path": str(images / "train"), "dataset.validation": 0, "train.tokenizer.steps": 1}
    composed = tiny_composed(images, **overrides)
    model = train_tokenizer(composed, tmp_path / "run", reporter=Quiet(), device="cpu")
    run = Run(tmp_path / "run")
    assert not values(run, "val_psnr_db")
    assert len(list(run.pictures.iterdir())) == 1  # of training images
    tokens = tmp_path / "tokens"
    config = tiny_config(images, **overrides)
    tokenize_dataset(config, model, tokens, device="cpu", progress=lambda *args: None)
    composed = tiny_composed(images, **overrides, **{"train.transformer.steps": 1})
    train_transformer(composed, model, tokens, tmp_path / "two", reporter=Quiet(), device="cpu")
    assert not values(Run(tmp_path / "two"), "val_loss")


def test_no_images_at_all(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(VartkError, match="has no images"):
        train_tokenizer(tiny_composed(tmp_path / "empty"), tmp_path / "run", reporter=Quiet(), device="cpu")
    assert not (tmp_path / "run").exists()


def test_classes_that_are_too_few_for_the_data(images, stage_one, tokens, tmp_path):
    composed = tiny_composed(images, classes=["one", "two"])
    with pytest.raises(VartkError, match="class 2 is out of range"):
        train_transformer(composed, stage_one[0], tokens, tmp_path / "run", reporter=Quiet(), device="cpu")


def test_a_transformer_needs_the_tokens_of_its_tokenizer(images, stage_one, tokens, tmp_path):
    save_model(tiny_model(5, predictor=False), tmp_path / "other")
    with pytest.raises(VartkError, match="made by another tokenizer"):
        train_transformer(
            tiny_composed(images),
            tmp_path / "other",
            tokens,
            tmp_path / "run",
            reporter=Quiet(),
            device="cpu",
        )
    assert not (tmp_path / "run").exists()
