"""Class and text together: `conditioner=[class,text]`."""

import json

import encoders
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tiny import Quiet, tiny_composed, tiny_model
from tiny_text import captioned_photos, text_model

import vartk
from vartk.components import plugins
from vartk.engine.data import to_tensor
from vartk.engine.folder import load_model, save_model
from vartk.engine.joint import JointConditioner, drop_some
from vartk.engine.recipes import tokenize_dataset, train_transformer
from vartk.engine.training.run import Run
from vartk_registry import VartkError
from vartk_registry.testing import check_conditioner

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = {"name": "text", "encoder": "random", "length": 8}
READING = {"name": "var", "depth": 2, "width": 32, "heads": 2, "cross_attention": True}


@pytest.fixture(scope="module")
def model():
    return tiny_model(conditioner=["class", WORDS], transformer=READING)


def test_vectors_are_added_and_the_class_is_a_token_before_those_of_the_text(model):
    joint = model.predictor.conditioner
    of_class, of_text = joint.parts
    values = [(1, "a red apple"), (None, "a pear"), ("dark", None), None]
    made = joint(joint.parse(values))
    labels = of_class(of_class.parse([1, None, 0, None])).vector
    texts = of_text(of_text.parse(["a red apple", "a pear", None, None]))
    torch.testing.assert_close(made.vector, labels + texts.vector)
    torch.testing.assert_close(made.tokens, torch.cat([labels[:, None], texts.tokens], dim=1))
    assert made.weights.sum(1).tolist() == [4, 3, 2, 2]
    assert torch.equal(joint.null(2), joint.parse([None, None]))
    check_conditioner(joint, values[:2])


def test_without_tokens_there_are_none():
    model = tiny_model(conditioner=["class", {**WORDS, "tokens": False}])
    joint = model.predictor.conditioner
    assert joint(joint.parse([(0, "a pear")])).tokens is None
    assert model.sample([(0, "a pear"), (0, None)]).images.isfinite().all()


def test_two_encoders_read_one_caption():
    model = tiny_model(conditioner=[WORDS, {**WORDS, "length": 4}], transformer=READING)
    assert (model.takes, model.classes) == ("caption", [])
    assert model.sample(["a pear", ""]).images.isfinite().all()


@pytest.mark.parametrize("kind", ["var", "infinity"])
def test_class_and_text_both_change_the_image(model, kind, tmp_path):
    if kind == "infinity":
        encoder = encoders.write(tmp_path / "encoder", "t5")
        of_text = {"name": "text", "encoder": "t5", "model": str(encoder), "length": 8}
        model = text_model(encoder, conditioner=["class", of_text], classes=["dark", "light"])
    first, again, of_class, of_text = model.sample(
        [(0, "a pear"), ("dark", "a pear"), (1, "a pear"), (0, "the red apple")], seed=[3] * 4
    ).images
    torch.testing.assert_close(first, again)
    assert (of_class - first).abs().max() > 0.05
    assert (of_text - first).abs().max() > 0.05


def test_a_blend_within_a_pair_is_one_of_pairs(model):
    inside = model.sample([(0, {"a pear": 3, "the apple": 1})]).images
    assert torch.equal(model.sample([{(0, "a pear"): 3, (0, "the apple"): 1}]).images, inside)


def test_each_part_is_dropped_alone_and_all_at_once(model):
    joint = model.predictor.conditioner
    torch.manual_seed(0)
    dropped = drop_some(joint, joint.parse([(0, "a")] * 4000), 0.2)
    classes, texts = (dropped[:, :2] != joint.parse([(0, "a")])[0, :2]).T
    shares = [each.float().mean().item() for each in (classes, texts, classes & texts)]
    # 0.2 lose all, and each part of the others is lost by 0.2
    assert shares == pytest.approx([0.36, 0.36, 0.2 + 0.8 * 0.04], abs=0.02)


@pytest.mark.parametrize("label", [0, "dark", (0,), (0, "a", "b")])
def test_what_is_no_pair(model, label):
    with pytest.raises(VartkError, match="is no pair of a class and a prompt; give one an image, as in"):
        model.sample([label])


def composed(photos, encoder, **keys):
    of_text = {"name": "text", "encoder": "t5", "model": str(encoder), "length": 8}
    joint = {"conditioner": ["class", of_text], "transformer": READING, "augment.scale": 1.0}
    return tiny_composed(photos, **joint, **{f"train.transformer.{key}": each for key, each in keys.items()})


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return captioned_photos(tmp_path_factory.mktemp("photos"), validation=4)


def test_a_training_takes_both_from_the_data_and_is_resumed_exactly(photos, tmp_path, monkeypatch):
    encoder, start, tokens = (tmp_path / name for name in ("encoder", "start", "tokens"))
    encoders.write(encoder, "t5")
    vartk.save(tiny_model(classes=["dark", "light"]), start)
    tokenize_dataset(
        composed(photos, encoder).config, start, tokens, device="cpu", progress=lambda *shown: None
    )
    assert (tokens / "captions.safetensors").is_file()
    monkeypatch.setattr("vartk_plugins.text_conditioner.encoders.Encoder.features", None)  # is not run again

    def train(run, steps, resume=False):
        keys = {"steps": steps, "flat": 1.0, "warmup": 0, "preview_every": 3, "lr": 1e-2, "label_drop": 0.3}
        reporter = Quiet()
        setting = composed(photos, encoder, **keys)
        arguments = {"reporter": reporter, "device": "cpu", "resume": resume, "start": start}
        return train_transformer(setting, start, tokens, tmp_path / run, **arguments), reporter.events

    whole, events = train("whole", 4)
    assert "conditioner: new, but 'class': 1 of 1 weights taken" in events[1]
    train("parts", 2)
    parts, _ = train("parts", 4, resume=True)
    files = [load_file(model / "transformer.safetensors") for model in (whole, parts)]
    assert all(torch.equal(weight, files[1][name]) for name, weight in files[0].items())
    begun = load_model(start, plugins()).predictor.conditioner.embedding.weight
    learned = load_model(whole, plugins()).predictor.conditioner
    assert isinstance(learned, JointConditioner)
    assert (learned.parts[0].embedding.weight - begun).abs().amax(1).min() > 1e-3  # the null one, too
    assert len([line for line in Run(tmp_path / "parts").metrics() if "loss" in line]) == 4


def test_the_command_line_pairs_classes_and_prompts_in_turn(vartk, model, folder, tmp_path):
    prompts = ("--prompt", "a pear", "--prompt", "{a plum: 1, a pear: 3}")
    ran = vartk(
        "sample", folder, "--class", "dark", *prompts, "--negative-prompt", "red", "--out", tmp_path / "a"
    )
    assert ran.code == 0, ran.err
    made = json.loads((tmp_path / "a" / "samples.json").read_text())
    assert made["labels"] == [[0, "a pear"], [0, {"a plum": 1.0, "a pear": 3.0}]]
    assert made["classes"] == ["dark, a pear", "dark, {a plum: 1.0, a pear: 3.0}"]
    again = model.sample(made["labels"], negative=[(None, "red")], seed=made["seeds"]).images
    for index, image in enumerate(again):
        written = to_tensor(Image.open(tmp_path / "a" / f"{index:06d}.png"))
        torch.testing.assert_close((written + 1) / 2, image, atol=3e-3, rtol=0)
    ran = vartk("sample", folder, "--prompt", "a pear", "--out", tmp_path / "b")
    assert json.loads((tmp_path / "b" / "samples.json").read_text())["labels"] == [[None, "a pear"]]
    ran = vartk("sample", folder, "--format", "npz", "--out", tmp_path / "c")
    assert json.loads((tmp_path / "c" / "samples.json").read_text())["classes"] == [
        "dark",
        "light",
        "stripes",
    ]
    ran = vartk("sample", folder, "--class", "drak", "--prompt", "a pear", "--out", tmp_path / "d")
    assert ran.code == 2
    assert "unknown class 'drak'; did you mean 'dark'?" in ran.err


def test_pairs_are_compared_varied_and_on_a_card(vartk, folder, photos, tmp_path):
    pair = ("--class", "dark", "--prompt", "a pear")
    ran = vartk(
        "compare", folder, "--cache", "full,fastvar", *pair, "--count", 2, "--out", tmp_path / "compared"
    )
    assert ran.code == 0, ran.err
    made = json.loads((tmp_path / "compared" / "compare.json").read_text())
    assert made["labels"] == [[0, "a pear"], [0, "a pear"]]
    assert "--class dark --prompt 'a pear'" in made["command"]
    ran = vartk("edit", folder, photos / "0.png", *pair, "--box", "0,0,0.5,1", "--out", tmp_path / "edited")
    assert ran.code == 0, ran.err
    ran = vartk("card", folder)
    assert ran.code == 0, ran.err
    card = (folder / "README.md").read_text()
    assert 'samples = model.sample([("dark", None), ("light", None)], seed=0)' in card


def test_samples_for_the_pairs_of_the_data_are_evaluated(vartk, photos, eyes, tmp_path):
    model = tiny_model(conditioner=["class", WORDS], transformer=READING, classes=["dark", "light"])
    save_model(model, tmp_path / "model")
    data = ("dataset=folder", f"dataset.path={photos}", f"feature={eyes}", "metrics=[fd]")
    words = ("--count", 4, "--samples", tmp_path / "samples", "--out", tmp_path / "evaluation")
    ran = vartk("eval", tmp_path / "model", *data, *words)
    assert ran.code == 0, ran.err
    (file,) = (tmp_path / "samples").glob("*.npz")
    with np.load(file) as archive:
        drawn = sorted(archive["arr_1"].tolist())
    assert drawn == ["0, a red apple and a pear", "0, the green pear", "1, a pear", "1, a red apple"]
