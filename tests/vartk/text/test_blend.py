"""Blends: several classes or prompts in one image, by weight."""

import json
import math

import numpy as np
import pytest
import torch
from tiny import tiny_model
from tiny_text import PROMPTS, text_model

from vartk.engine.blend import between, line_of, read_label
from vartk.engine.conditions import mixed, token_weights
from vartk_registry import VartkError
from vartk_registry.interfaces import Condition

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_thread")

APPLE, PEAR, SHORT = PROMPTS


def images(model, *arguments, **named):
    return model.sample(*arguments, **named).images


def test_vectors_are_averaged_and_the_tokens_of_a_text_share_its_weight():
    vector = torch.tensor([[4.0, 0.0], [0.0, 8.0]])
    tokens = torch.tensor([[[1.0], [2.0], [9.0]], [[3.0], [4.0], [5.0]]])
    made = mixed(Condition(vector, tokens, torch.tensor([2, 3])), torch.tensor([[0.25, 0.75]]))
    assert made.vector.tolist() == [[1.0, 6.0]]
    assert made.tokens.flatten().tolist() == [1.0, 2.0, 9.0, 3.0, 4.0, 5.0]
    assert made.weights.tolist() == [[0.125, 0.125, 0.0, 0.25, 0.25, 0.25]]
    assert token_weights(made) is made.weights


def test_a_blend_of_classes_is_between_their_vectors():
    model = tiny_model()
    embedding = model.predictor.conditioner.embedding.weight
    embedding.data[1] = 0.25 * embedding[0] + 0.75 * embedding[2]
    torch.testing.assert_close(images(model, [{0: 1, "stripes": 3}]), images(model, [1]))
    torch.testing.assert_close(
        images(model, {2: 6, 0: 2}, negative={0: 1, 2: 3}), images(model, 1, guidance=0)
    )


def test_a_weight_alone_is_the_plain_prompt(model):
    plain = images(model, [APPLE, PEAR])
    assert torch.equal(images(model, [{APPLE: 1}, {PEAR: 0.2}]), plain)
    assert torch.equal(images(model, {APPLE: 3}), plain[:1])


@pytest.mark.parametrize("precision", ["plain", "fp32"])
def test_equal_texts_are_the_text(model, precision):
    settings = {"precision": precision, "negative": PEAR}
    twice = images(model, [{SHORT: 0.3, f" {SHORT}": 0.7}, APPLE], **settings)
    torch.testing.assert_close(twice, images(model, [SHORT, APPLE], **settings))


def test_a_small_weight_changes_little_and_a_large_one_much(model):
    start, end = images(model, SHORT, guidance=0), images(model, PEAR, guidance=0)
    near = images(model, {SHORT: 1, PEAR: 1e-6}, guidance=0)
    torch.testing.assert_close(near, start, atol=1e-3, rtol=0)
    torch.testing.assert_close(images(model, {SHORT: 1e-6, PEAR: 1}, guidance=0), end, atol=1e-3, rtol=0)
    half = images(model, {SHORT: 1, PEAR: 1}, guidance=0)
    assert (half - start).abs().max() > 0.05
    assert (half - end).abs().max() > 0.05


def test_a_blend_is_the_same_recorded_and_in_half_precision_it_runs(model):
    blends = [{APPLE: 2, PEAR: 1}, SHORT]
    plain = images(model, blends, record="never")
    for _ in range(2):
        assert torch.equal(images(model, blends, record="always"), plain)
    assert images(model, blends, precision="bf16").isfinite().all()


def test_a_recording_does_not_serve_a_negative_prompt_of_more_tokens(tmp_path):
    model = text_model(
        tmp_path / "encoder",
        conditioner={"name": "text", "encoder": "t5", "model": str(tmp_path / "encoder"), "length": 24},
    )
    for negative in (SHORT, " ".join(PROMPTS), {SHORT: 1, APPLE: 1}):
        plain = images(model, SHORT, negative=negative, record="never")
        assert torch.equal(images(model, SHORT, negative=negative, record="always"), plain)


def test_between_two_prompts(model):
    made = model.interpolate(SHORT, PEAR, steps=3, seed=2, guidance=2.0)
    torch.testing.assert_close(
        made.images, images(model, [SHORT, {SHORT: 1, PEAR: 1}, PEAR], seed=[2] * 3, guidance=2.0)
    )
    assert between({"a": 1, "b": 3}, "b", 0.5) == {"a": 0.125, "b": 0.875}
    assert between("a", "b", 0.0) == {"a": 1.0}
    with pytest.raises(VartkError, match=r"\['a'\] is no label"):
        model.interpolate(["a"], "b")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("a red apple", "a red apple"),
        ("{a} and {b", "{a} and {b"),
        ("{a red apple: 0.7, a ball: .3}", {"a red apple": 0.7, "a ball": 0.3}),
        ('{"a, b: c": 2, no: 1e-1, no: 1}', {"a, b: c": 2.0, "no": 1.1}),
    ],
)
def test_a_line_of_yaml(text, label):
    assert read_label(text) == label
    assert read_label(line_of(label)) == label


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a, b: 1}", "'a' in '{a, b: 1}' has no number as its weight: .*quote a text that has a comma"),
        ("{a: much}", "'a' .* has no number"),
        ("{a: 0}", r"the weight 0.0 of 'a' must be a number above 0; leave a label of no weight out"),
        ("{a: 1, b: -2}", "the weight -2.0 of 'b' must be a number above 0"),
        ("{a: .inf}", "has no number"),
        ("{a: inf}", "the weight inf of 'a'"),
        ("{}", "a blend of nothing"),
        ("{a: {b: 1}}", "is no mapping of texts to weights: write texts with weights in YAML, as in {a red"),
        ("{a: 1}, {b: 2}", "is no mapping of texts"),
    ],
)
def test_what_is_no_line_of_yaml(text, message):
    with pytest.raises(VartkError, match=message):
        read_label(text)


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf, "1", None, True])
def test_what_is_no_weight(model, weight):
    with pytest.raises(VartkError, match=r"the weight .* of 'a pear' must be a number above 0"):
        model.sample([{"a pear": weight}])


def test_blends_of_the_command_line_and_of_a_file(vartk, model, folder, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text(f'{SHORT}\n{{"{APPLE}": 3, {PEAR}: 1}}\n')
    words = ("--prompt", "{a pear: 1, a plum: 1}", "--prompts", file, "--negative-prompt", "{an egg: 2}")
    ran = vartk("sample", folder, *words, "--format", "npz", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    made = json.loads((tmp_path / "out" / "samples.json").read_text())
    labels = [{"a pear": 1.0, "a plum": 1.0}, SHORT, {APPLE: 3.0, PEAR: 1.0}]
    assert made["labels"] == labels
    assert made["classes"][0] == "{a pear: 1.0, a plum: 1.0}"
    with np.load(tmp_path / "out" / "samples.npz") as archive:
        assert archive["arr_1"].tolist() == made["classes"]
        again = images(model, made["labels"], negative=made["negative"] and {"an egg": 1}, seed=made["seeds"])
        assert np.array_equal(archive["arr_0"], (again * 255).round().byte().permute(0, 2, 3, 1).numpy())
    ran = vartk("sample", folder, "--prompt", "{a pear: 0, a plum: 1}", "--out", tmp_path / "none")
    assert ran.code == 2
    assert "the weight 0.0 of 'a pear' must be a number above 0" in ran.err
    assert not (tmp_path / "none").exists()


def test_blends_are_compared(vartk, folder, tmp_path):
    for words in (("--cache", "full,fastvar"), ("--system", f"{folder} guidance.scale=2")):
        out = tmp_path / words[0][2:]
        blend = ("--prompt", "{a pear: 1, a plum: 1}", "--prompt", SHORT, "--count", 3)
        ran = vartk("compare", folder, *words, *blend, "--out", out)
        assert ran.code == 0, ran.err
        made = json.loads((out / "compare.json").read_text())
        assert made["labels"] == [{"a pear": 1.0, "a plum": 1.0}, SHORT, {"a pear": 1.0, "a plum": 1.0}]
        assert "a plum" in made["command"]
