"""Metrics of samples while a transformer is trained, and the best model."""

import json
import random

import pytest
import torch
from tiny import Quiet, images_folder, tiny_composed, tiny_config, tiny_model

from vartk.components import plugins
from vartk.engine.data import Images
from vartk.engine.folder import load_model, save_model
from vartk.engine.recipes import open_datasets, tokenize_dataset, train_transformer
from vartk.engine.sets import Seen, set_distances
from vartk.engine.training import Run
from vartk.engine.training.judge import Best
from vartk_registry import UnknownName, VartkError

pytestmark = pytest.mark.usefixtures("one_thread")

JUDGED = {
    "train.transformer.eval_metrics": ["fd", "kid"],
    "train.transformer.eval_samples": 6,
    "train.transformer.steps": 8,
    "train.transformer.eval_every": 2,
    "train.transformer.lr": 3e-2,
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"), train=9, validation=8)


@pytest.fixture(scope="module")
def data(images, tmp_path_factory):
    """A tokenizer and its tokens."""
    folder = tmp_path_factory.mktemp("data")
    save_model(tiny_model(predictor=False), folder / "tokenizer")
    config = tiny_config(images)
    tokenize_dataset(config, folder / "tokenizer", folder / "tokens", device="cpu", progress=lambda *_: None)
    return folder


@pytest.fixture
def train(images, data, eyes, tmp_path):
    def run(resume=False, **other):
        settings = {**JUDGED, "train.transformer.eval_feature": eyes, **other}
        composed, reporter = tiny_composed(images, **settings), Quiet()
        train_transformer(
            composed,
            data / "tokenizer",
            data / "tokens",
            tmp_path / "run",
            reporter=reporter,
            device="cpu",
            resume=resume,
        )
        return Run(tmp_path / "run"), reporter

    return run


def values(run, name):
    return {line["step"]: line[name] for line in run.metrics() if name in line}


def test_each_validation_measures_samples_and_the_best_model_is_kept(train, images, eyes):
    run, reporter = train()
    distances = values(run, "val_fd")
    assert list(distances) == [2, 4, 6, 8]
    assert values(run, "val_kid").keys() == values(run, "val_loss").keys() == distances.keys()
    step = min(distances, key=distances.get)
    best = json.loads((run.folder / "best.json").read_text())
    assert (best["step"], best["metric"], best["value"]) == (step, "fd", distances[step])
    assert f"step {step} is the best so far: {run.best}" in reporter.events
    # a second computation: that model's samples of the same classes, and the images themselves
    model, registry = load_model(run.best, plugins()), plugins().registry
    dataset = open_datasets(tiny_config(images), print, ["validation"])["validation"]
    feature, held_out = registry.build("feature", eyes, {}), Images(dataset, (16, 16))
    rows = random.Random(0).sample(range(8), 6)
    samples = model.sample([dataset[row].label for row in rows], seed=0).images
    real = torch.stack([(held_out[row] + 1) / 2 for row in rows])
    expected = set_distances(registry, ["fd"], Seen.of(feature, samples), Seen.of(feature, real))
    assert best["value"] == pytest.approx(expected["fd"], rel=1e-3)


def test_a_resumed_run_knows_its_best_model(train):
    run, _ = train(**{"train.transformer.steps": 4})
    before = json.loads((run.folder / "best.json").read_text())
    run, _ = train(resume=True)
    distances = values(run, "val_fd")
    assert list(distances) == [2, 4, 6, 8]
    best = json.loads((run.folder / "best.json").read_text())
    assert best["value"] == min(distances.values()) <= before["value"]


def test_without_metrics_nothing_is_sampled_and_nothing_kept(train):
    run, _ = train(**{"train.transformer.eval_metrics": [], "train.transformer.steps": 2})
    assert not run.best.exists()
    assert values(run, "val_fd") == {}


def test_which_value_is_better(tmp_path):
    lower = Best(tmp_path, higher=False)
    assert not lower.improved_by(float("nan"))
    assert lower.improved_by(3.0)
    lower.keep(2, {"fd": 3.0, "loss": 9.0})
    assert [lower.improved_by(value) for value in (3.0, 2.0, 4.0, float("nan"))] == [
        False,
        True,
        False,
        False,
    ]
    again = Best(tmp_path, higher=True)
    assert [again.improved_by(value) for value in (3.0, 2.0, 4.0)] == [False, False, True]
    judged = {name: plugins().registry.build("metric", name, {}).better for name in ("fd", "kid", "is")}
    assert judged == {"fd": "lower", "kid": "lower", "is": "higher"}


def test_what_cannot_be_measured_is_refused_before_training(train, images, tmp_path):
    with pytest.raises(VartkError, match="metric 'is' needs logits, which the feature Eyes does not give"):
        train(**{"train.transformer.eval_metrics": ["is"]})
    with pytest.raises(UnknownName, match="unknown metric 'fdd'; did you mean 'fd'"):
        train(**{"train.transformer.eval_metrics": ["fdd"]})
    few = images_folder(tmp_path / "few", train=9, validation=3)
    with pytest.raises(VartkError, match="there are 3 images; hold out at least 4"):
        train(**{"dataset.path": str(few)})
    assert not (tmp_path / "run").exists()
