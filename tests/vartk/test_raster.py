"""Raster order: the classic next-token model, made of the same parts by a schedule alone."""

import json

import pytest
import torch
from tiny import CLASSES, Quiet, images_folder, tiny_composed, tiny_model
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

import vartk
from vartk.components import plugins
from vartk.engine.codes import teacher_inputs
from vartk.engine.recipes import tokenize_dataset, train_tokenizer, train_transformer
from vartk.engine.tokens import load_tokens
from vartk.engine.training import Run
from vartk_registry import VartkError
from vartk_registry.interfaces import Schedule

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = [0, 1, 2]
GRIDS = {"latent": [], "several scales": [1, 2, 4]}


def raster_model(grids=(), **overrides):
    return tiny_model(schedule={"name": "raster", "grids": list(grids)}, **overrides)


@pytest.fixture(scope="module", params=GRIDS.values(), ids=GRIDS)
def model(request):
    return raster_model(request.param)


def test_a_token_a_step(model):
    states = list(model.stream(LABELS))
    assert len(states) == model.schedule.total
    assert {state.codes.shape for state in states} == {(3, 1)}
    assert states[4].place == f"token 5/{len(states)}"


def test_the_inputs_are_the_vectors_of_the_tokens_before(model):
    codes = model.sample(LABELS).codes
    inputs = teacher_inputs(model.tokenizer, codes, model.schedule)
    table = model.tokenizer.quantizer.codebook.weight
    assert torch.equal(inputs, table[torch.cat(codes, dim=1)[:, :-1]])


def test_greedy_codes_are_the_likeliest_of_the_teacher_forced_pass(model):
    codes = model.sample(LABELS, sampler="greedy", guidance=0.0).codes
    assert [tuple(scale.shape) for scale in codes] == [(3, size) for size in model.schedule.scales.sizes]
    logits = model.logits(LABELS, codes)
    assert torch.equal(logits.argmax(-1), torch.cat(codes, dim=1))


def test_an_image_is_the_decoded_latent_of_its_codes(model):
    samples = model.sample(LABELS)
    expected = (model.decode(samples.codes) + 1) / 2
    torch.testing.assert_close(samples.images, expected, rtol=0, atol=1e-6)


def test_a_seed_gives_the_same_image_in_any_batch(model):
    together = model.sample(LABELS, seed=3)
    alone = model.sample(LABELS[1:2], seed=4)
    assert torch.equal(torch.cat(alone.codes, 1), torch.cat(together.codes, 1)[1:2])


def test_a_picture_on_the_way_has_the_tokens_so_far():
    model = raster_model()
    state = next(s for s in model.stream(LABELS) if s.step == 5)
    codes = torch.cat([s.codes for s in list(model.stream(LABELS))[:6]], dim=1)
    vectors = torch.zeros(3, 16, model.tokenizer.channels)
    vectors[:, :6] = model.tokenizer.embed(codes)
    expected = model.tokenizer.accumulate(None, vectors, 0, model.schedule.scales)
    torch.testing.assert_close(state.f_hat, expected)


def test_an_edit_is_seen_by_the_tokens_that_follow(model):
    def edited():
        for state in model.stream(LABELS, seed=3):
            if state.step == 2:
                state.vectors = -99 * state.vectors
            yield state.codes

    plain = torch.cat([state.codes for state in model.stream(LABELS, seed=3)], dim=1)
    changed = torch.cat(list(edited()), dim=1)
    assert torch.equal(changed[:, :3], plain[:, :3])
    assert not torch.equal(changed[:, 3:], plain[:, 3:])


@pytest.mark.parametrize("name", plugins().registry.names("cache"))
def test_every_cache_takes_tokens_as_steps_or_says_why_not(name):
    model = raster_model()
    if name == "skip_last":
        with pytest.raises(VartkError, match="leaves out the last steps, which here are codes"):
            model.sample(LABELS, cache=name)
        return
    assert model.sample(LABELS, cache=name).images.isfinite().all()


@pytest.mark.parametrize(
    "cache", [{"name": "window", "share": 1.0}, {"name": "h2o", "budget": 1.0}], ids=lambda slot: slot["name"]
)
def test_a_cache_that_keeps_everything_changes_nothing(cache):
    model = raster_model()
    kept, full = (model.sample(LABELS, cache=name, precision="plain") for name in (cache, "full"))
    assert torch.equal(torch.cat(kept.codes, 1), torch.cat(full.codes, 1))


def test_the_cache_of_all_tokens_is_allocated_once():
    held = {state.cache_bytes for state in raster_model().stream(LABELS, guidance=0.0)}
    assert held == {2 * 3 * 16 * 32 * 4 * 2}  # k and v, images, tokens, width, bytes, layers


def test_another_latent_is_taken_by_interpolation():
    model = raster_model()
    larger = model.sample(LABELS, schedule=Schedule(((2, 2), (4, 4)), raster=True))
    assert [scale.shape[1] for scale in larger.codes] == [4, 16]


@pytest.mark.parametrize("given", [[1, 2, 4], "powers-of-four"])
def test_whole_scales_are_refused(given):
    with pytest.raises(VartkError, match="has learned to predict one code after another"):
        raster_model().sample(LABELS, schedule=given)


def test_a_next_scale_model_refuses_raster_order():
    with pytest.raises(VartkError, match="has learned to predict whole scales, not one code after another"):
        tiny_model().sample(LABELS, schedule="raster")


def test_patches_are_refused():
    with pytest.raises(VartkError, match=r"patch=2 predicts 4 codes at once.*transformer.patch=1"):
        raster_model(**{"transformer.patch": 2})


def test_a_refiner_is_refused():
    model = raster_model()
    with pytest.raises(VartkError, match="these models draw a code at a time"):
        model.sample(LABELS, refiner=model, draft=1)


def test_zero_shot_tasks_are_refused():
    model = raster_model()
    images = torch.zeros(1, 3, 16, 16)
    with pytest.raises(VartkError, match="this model draws a code at a time"):
        model.inpaint(images, torch.ones(16, 16), [0])


class Attentions(TorchFunctionMode):
    """Records the queries of each call of torch's fused attention, and whether it is causal."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is scaled_dot_product_attention:
            self.calls.append((args[0].shape[-2], kwargs["is_causal"]))
        return func(*args, **(kwargs or {}))


def test_training_attends_by_one_causal_call_a_layer():
    model = raster_model()
    codes = model.sample(LABELS).codes
    with Attentions() as attentions:
        model.logits(LABELS, codes)
    assert attentions.calls == [(16, True)] * 2


def test_the_causal_call_equals_the_masked_oracle():
    model = raster_model()
    codes = model.sample(LABELS).codes
    model.config.sampling.attention.name = "eager"
    expected = model.logits(LABELS, codes)
    model.config.sampling.attention.name = "sdpa"
    torch.testing.assert_close(model.logits(LABELS, codes), expected, rtol=1e-5, atol=1e-5)


TRAINING = {
    "schedule": "raster",
    "train.tokenizer.steps": 20,
    **{f"train.tokenizer.{key}_every": 20 for key in ("save", "eval", "preview")},
    "train.transformer.steps": 40,
    "train.transformer.batch": 9,
    "train.transformer.lr": 1e-2,
    **{f"train.transformer.{key}_every": 40 for key in ("save", "eval", "preview")},
    "augment.scale": 1.0,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train both stages, and return the folder of the model."""
    out, images = tmp_path_factory.mktemp("run"), images_folder(tmp_path_factory.mktemp("images"))
    composed = tiny_composed(images, **TRAINING)
    first = train_tokenizer(composed, out / "one", reporter=Quiet(), device="cpu")
    tokenize_dataset(composed.config, first, out / "tokens", device="cpu", progress=lambda *args: None)
    return train_transformer(
        tiny_composed(images, **TRAINING), first, out / "tokens", out / "two", reporter=Quiet(), device="cpu"
    )


def test_it_learns(trained):
    lines = Run(trained.parent).metrics()
    losses = [line["loss"] for line in lines if "loss" in line]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    last = [line for line in lines if "val_loss" in line][-1]
    assert last["val_loss_0"] == pytest.approx(last["val_loss"])
    assert "val_loss_1" not in last


def test_codes_are_stored_by_scale_and_know_no_order(trained):
    run = trained.parents[1]
    for raster in (True, False):
        tokens = load_tokens(run / "tokens", run / "one" / "model", Schedule(((4, 4),), raster=raster))
        assert tokens["train"].codes.shape[1] == 16


def test_self_correction_is_refused(trained, tmp_path):
    run = trained.parents[1]
    composed = tiny_composed(None, **{**TRAINING, "train.transformer.self_correction": 0.3})
    with pytest.raises(VartkError, match=r"self_correction=0\.3 has finer scales correct"):
        train_transformer(
            composed, run / "one" / "model", run / "tokens", tmp_path / "two", reporter=Quiet(), device="cpu"
        )


def test_the_folder_is_a_model_like_any(trained):
    model = vartk.load(trained)
    assert model.classes == CLASSES
    assert model.schedule.raster
    assert model.sample(CLASSES, seed=1).images.shape == (3, 3, 16, 16)


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "--count", "2"),
        ("bench", "flops"),
        pytest.param(("compare", "--cache", "full,h2o", "--count", "2"), marks=pytest.mark.slow),
        pytest.param(("bench", "sample", "--repeats", "1"), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_commands_take_it(vartk, trained, tmp_path, command):
    words = 2 if command[0] == "bench" else 1
    out = () if command[0] == "bench" else ("--out", tmp_path / "out")
    ran = vartk(*command[:words], trained, *command[words:], *out, "--json")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    if command[1] == "flops":
        assert [scale["tokens"] for scale in result["scales"]] == [16]
    if command[1] == "sample":
        assert {len(row["scale_seconds"]) for row in result["rows"]} == {1}
