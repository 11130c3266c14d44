"""Models of prompts: sampling, negative prompts, recordings, the command line."""

import json

import pytest
import torch
from tiny import tiny_config, tiny_model
from tiny_text import PROMPTS, text_model

from vartk.components import plugins
from vartk.engine.tokens import Tokens
from vartk.engine.training import TransformerStage
from vartk_registry import VartkError

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_thread")


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


def test_another_size_takes_the_nearest_ratio_and_its_positions(tmp_path):
    sizes = {"channels": 32, "multipliers": [1, 1, 1, 1, 1], "blocks": 1, "latent": 4}
    model = text_model(
        tmp_path / "encoder", image_size=256, schedule="infinity", tokenizer={"name": "bsq_vae", **sizes}
    )
    made = model.stream("a pear", size=[144, 432], cache="fastvar", record="never")
    *_, last = made
    assert last.images.shape == (1, 3, 144, 432)
    assert last.schedule.grids[:3] == ((1, 1), (2, 2), (2, 6))
    assert last.schedule.reference == (37, 111)
    assert model.sample("a pear", size=256).images.shape == (1, 3, 256, 256)
    for size, message in (
        ([144, 400], r"no scales for an image size of \[144,400\]; the nearest .*are \[144,432\], "),
        ([100, 100], "multiples of 16"),
        ([1, 2, 3], r"size=\[1, 2, 3\] must be a side in pixels"),
    ):
        with pytest.raises(VartkError, match=message):
            model.sample("a pear", size=size)


def test_a_transformer_learns_from_captions(tmp_path):
    """One step each: the conditioner's null condition and its layer to the transformer's width learn, too."""
    keys = {"train.transformer.label_drop": 0.5, "train.transformer.correction": "flip"}
    model = text_model(tmp_path / "encoder", **keys, **{"train.transformer.self_correction": 0.3})
    codes = torch.randint(2, (8, 21, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    tokens = Tokens(codes, torch.zeros(8, dtype=torch.int64), [*PROMPTS, ""] * 2)
    config = tiny_config(**keys, **{"train.transformer.self_correction": 0.3})
    stage = TransformerStage(config, model, {"train": tokens, "validation": tokens}, plugins().registry)
    torch.manual_seed(0)
    batch = next(stage.batches(0, torch.device("cpu")))
    loss, _ = stage.loss(stage.module.train(), batch)
    loss.backward()
    learned = {name for name, weight in stage.module.named_parameters() if weight.grad.any()}
    assert {
        "conditioner.null_tokens",
        "conditioner.proj.weight",
        "transformer.blocks.1.cross.q.weight",
    } <= learned
    assert stage.validate(stage.module.eval(), torch.device("cpu"))["loss"] > 0
    assert stage.preview(stage.module, torch.device("cpu")).isfinite().all()


def test_speed_can_be_measured_without_an_encoder(vartk, tmp_path):
    sizes = (
        "transformer.depth=1",
        "transformer.width=64",
        "transformer.heads=2",
        "transformer.text_width=64",
    )
    small = (
        "image_size=64",
        "schedule=powers-of-four",
        "tokenizer.channels=32",
        "tokenizer.blocks=1",
        "tokenizer.multipliers=[1,1,1,1,1]",
    )
    words = ("infinity-125m", "conditioner.encoder=random", *sizes, *small)
    ran = vartk("bench", "sample", *words, "--batch", "1", "--precisions", "fp32", "--repeats", "1", "--json")
    assert ran.code == 0, ran.err
    assert {row["precision"] for row in json.loads(ran.out.splitlines()[-1])["rows"]} == {"plain", "fp32"}


def test_caches_are_compared_on_prompts(vartk, folder, tmp_path):
    out = tmp_path / "compared"
    words = ("--cache", "full,fastvar", "--prompt", "a pear", "--prompt", "a red apple", "--count", 2)
    ran = vartk("compare", folder, *words, "--out", out)
    assert ran.code == 0, ran.err
    assert json.loads((out / "compare.json").read_text())["labels"] == ["a pear", "a red apple"]
    assert "a red apple" in (out / "compare.md").read_text()
    ran = vartk("compare", folder, "--cache", "full,fastvar", "--out", tmp_path / "none")
    assert ran.code == 2
    assert "this model draws prompts; give one" in ran.err


def test_a_cache_is_calibrated_on_prompts(vartk, folder):
    words = ("calibrate", folder, "cache=fastervar", "cache.scales=1", "--count", 2)
    ran = vartk(*words)
    assert ran.code == 2
    assert "this model draws prompts; give one" in ran.err
    ran = vartk(*words, "--prompt", "a pear", "--prompt", "a red apple", "--json")
    assert ran.code == 0, ran.err
    (ratios,) = json.loads(ran.out.splitlines()[-1])["parameters"]["ratios"]
    assert len(ratios) == 1
    assert 0 < ratios[0] <= 1
