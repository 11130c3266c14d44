"""Features of captions: made once with the codes, never again in training, refused from another encoder."""

import json
from collections import Counter

import encoders
import pytest
import torch
from safetensors.torch import load_file
from tiny import Quiet, tiny_composed, tiny_model
from tiny_text import CAPTIONS, captioned_photos, text_model

import vartk
from vartk.components import plugins
from vartk.engine.folder import load_model, new_model
from vartk.engine.recipes import tokenize_dataset, train_transformer
from vartk.engine.tokens import load_tokens
from vartk.engine.training import TransformerStage, start_from
from vartk.engine.training.run import Run
from vartk_registry import VartkError

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_thread")

TEXT = {"transformer": {"name": "var", "depth": 2, "width": 32, "heads": 2, "cross_attention": True}}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return captioned_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return encoders.write(tmp_path_factory.mktemp("encoder") / "t5", "t5")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A model of the two classes."""
    folder = tmp_path_factory.mktemp("start") / "model"
    vartk.save(tiny_model(classes=["dark", "light"]), folder)
    return folder


def composed(photos, encoder, **keys):
    text = {"name": "text", "encoder": "t5", "model": str(encoder), "length": 8, "vector": "learned"}
    return tiny_composed(photos, conditioner=text, **TEXT, **{"augment.scale": 1.0, **keys})


@pytest.fixture(scope="module")
def tokens(photos, encoder, start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "tokens"
    config = composed(photos, encoder).config
    tokenize_dataset(config, start, folder, device="cpu", progress=lambda *shown: None)
    return folder


@pytest.fixture
def no_encoder(monkeypatch):
    """Let the encoder fail where it is run."""

    def fail(*arguments):
        raise AssertionError("the encoder ran")

    monkeypatch.setattr("vartk_plugins.text_conditioner.encoders.Encoder.features", fail)


def test_each_distinct_caption_is_stored_once_in_half_precision(tokens, encoder):
    texts = json.loads((tokens / "captions.json").read_text())
    assert set(texts) == {*CAPTIONS, "a red pear"} | {
        "the apple of " + caption for caption in [*CAPTIONS[:3], "a red pear"]
    }
    stored = load_file(tokens / "captions.safetensors")
    assert stored["features"].dtype == torch.float16
    network, tokenizer = encoders.network(encoder)
    for text, features in zip(texts, stored["features"].split(stored["lengths"].tolist()), strict=True):
        with torch.no_grad():
            expected = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        torch.testing.assert_close(features.float(), expected, atol=2e-3, rtol=2e-3)


@pytest.mark.usefixtures("no_encoder")
def test_training_and_its_start_never_run_the_encoder_and_resume_exactly(
    photos, encoder, tokens, start, tmp_path
):
    def train(run, steps, resume=False):
        keys = {"steps": steps, "flat": 1.0, "warmup": 0, "preview_every": 99, "eval_every": 99, "lr": 1e-2}
        setting = composed(photos, encoder, **{f"train.transformer.{key}": v for key, v in keys.items()})
        reporter = Quiet()
        arguments = {"reporter": reporter, "device": "cpu", "resume": resume, "start": start}
        model = train_transformer(setting, start, tokens, tmp_path / run, **arguments)
        return model, reporter.events

    monkey = pytest.MonkeyPatch()
    monkey.setattr(
        TransformerStage, "preview", lambda *shown: None
    )  # which samples captions: these are stored
    whole, events = train("whole", 6)
    assert (
        "conditioner: new, 'text' in the place of 'class'; the vectors of 7 texts fitted to it" in events[1]
    )
    train("parts", 2)
    parts, _ = train("parts", 6, resume=True)
    monkey.undo()
    files = [load_file(model / "transformer.safetensors") for model in (whole, parts)]
    assert all(torch.equal(weight, files[1][name]) for name, weight in files[0].items())
    losses = [line["loss"] for line in Run(tmp_path / "parts").metrics() if "loss" in line]
    assert len(losses) == 6


def test_an_image_has_each_of_its_captions_in_turn_at_random(photos, encoder, tokens, start):
    keys = {"train.transformer.batch": 4, "train.transformer.steps": 40, "train.transformer.label_drop": 0}
    config = composed(photos, encoder, **keys).config
    model = text_model(encoder, **TEXT, conditioner={**config.conditioner.params, "name": "text"})
    loaded = load_tokens(tokens, start, model.schedule)
    stage = TransformerStage(config, model, loaded, plugins().registry)
    conditioner = model.predictor.conditioner
    rows = {
        tuple(conditioner.parse([text])[0].tolist()): text
        for text in json.loads((tokens / "captions.json").read_text())
    }
    drawn = [
        Counter(
            rows[tuple(row.tolist())]
            for _, batch, _ in stage.batches(first, torch.device("cpu"))
            for row in batch
        )
        for first in (0, 0)
    ]
    assert drawn[0] == drawn[1]
    counts = [(drawn[0][one], drawn[0]["the apple of " + one]) for one in CAPTIONS]
    assert [sum(each) for each in counts] == [40] * 4
    assert counts[3] == (40, 0)
    assert all(10 <= one <= 30 for one, _ in counts[:3])


def test_features_of_another_encoder_are_refused(photos, tokens, start, tmp_path, encoder):
    other = encoders.write(tmp_path / "other", "t5", width=8)
    model = text_model(other)
    with pytest.raises(VartkError, match=r"made by another encoder: .*version is .*width is 16 and not 8"):
        load_tokens(tokens, start, model.schedule, model.predictor.conditioner)
    longer = text_model(
        encoder, conditioner={"name": "text", "encoder": "t5", "model": str(encoder), "length": 7}
    )
    with pytest.raises(VartkError, match="length is 8 and not 7; make them again with `vartk tokenize`"):
        load_tokens(tokens, start, longer.schedule, longer.predictor.conditioner)


def test_a_start_from_other_classes_is_not_fitted(photos, encoder, tokens, start, tmp_path):
    vartk.save(tiny_model(), tmp_path / "three")
    events = []
    model = new_model(composed(photos, encoder, classes=["dark", "light"]).config, plugins())
    model.tokenizer.load_state_dict(load_model(start, plugins()).tokenizer.state_dict())
    loaded = load_tokens(tokens, start, model.schedule, model.predictor.conditioner)
    start_from(model, tmp_path / "three", plugins(), events.append, loaded["train"])
    assert "not fitted, because the classes of the data are not those of the trained model" in events[1]
