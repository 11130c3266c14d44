"""Models of prompts: sampling, negative prompts, recordings, the command line."""

import json

import pytest
import torch
from tiny import tiny_model
from tiny_text import PROMPTS, text_model

import vartk
from vartk_registry import VartkError

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return text_model(tmp_path_factory.mktemp("text") / "encoder")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    vartk.save(model, folder)
    return folder


def images(model, *arguments, **named):
    return model.sample(*arguments, **named).images


def test_an_image_is_its_prompts_and_seeds_in_any_batch(model):
    together = images(model, PROMPTS, seed=3)
    for index, prompt in enumerate(PROMPTS):
        torch.testing.assert_close(images(model, prompt, seed=3 + index), together[index : index + 1])
    other = images(model, (PROMPTS[1], *PROMPTS[1:]), seed=3)
    assert (other[0] - together[0]).abs().max() > 0.05


def test_a_negative_prompt_takes_the_place_of_the_null_condition(model):
    plain = images(model, PROMPTS)
    led_away = images(model, PROMPTS, negative="the green pear in flat style")
    assert not torch.equal(led_away, plain)
    one_each = images(model, PROMPTS, negative=["the green pear in flat style"] * 3)
    assert torch.equal(one_each, led_away)
    # with itself as its opposite, guidance changes nothing
    unguided = images(model, PROMPTS, guidance=0)
    torch.testing.assert_close(images(model, PROMPTS, negative=PROMPTS), unguided)
    with pytest.raises(VartkError, match="2 negative labels for 3 images; give one for all"):
        model.sample(PROMPTS, negative=["a", "b"])


def test_classes_have_opposites_too():
    model = tiny_model()
    assert torch.equal(model.sample([0, 1], negative=[0, 1]).images, model.sample([0, 1], guidance=0).images)


def test_a_recorded_generation_is_the_same(model):
    plain = images(model, PROMPTS, negative="a pear", record="never")
    for _ in range(2):
        assert torch.equal(images(model, PROMPTS, negative="a pear", record="always"), plain)
    layered = {"guidance": {"name": "per_scale", "scales": [1, 2, 3], "layer": 1}}
    assert torch.equal(
        images(model, PROMPTS, record="always", **layered), images(model, PROMPTS, record="never", **layered)
    )


def test_prompts_of_the_command_line_and_of_a_file(vartk, folder, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("# fruit\na pear\n\n  the green pear in flat style \n")
    out = tmp_path / "out"
    words = ("--prompt", "a red apple", "--prompts", file, "--negative-prompt", "the pear", "--count", 4)
    ran = vartk("sample", folder, *words, "--out", out)
    assert ran.code == 0, ran.err
    made = json.loads((out / "samples.json").read_text())
    assert made["labels"] == ["a red apple", "a pear", "the green pear in flat style", "a red apple"]
    assert made["negative"] == "the pear"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "this model draws prompts; give one, as in --prompt 'a red apple'"),
        (("--prompts", "empty.txt"), "has no prompt; write one a line"),
        (("--prompts", "none.txt"), "cannot be read as text"),
    ],
)
def test_what_is_no_prompt(vartk, folder, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    ran = vartk("sample", folder, *words, "--out", "out")
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "out").exists()


def test_a_class_model_takes_no_prompt(vartk, model_folder, tmp_path):
    ran = vartk("sample", model_folder, "--prompt", "a pear", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "this model draws classes, not prompts; give --class" in ran.err
