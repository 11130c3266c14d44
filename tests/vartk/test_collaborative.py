"""Collaborative decoding: a drafter draws the first scales, a refiner the others."""

import json
import weakref
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_model

from vartk import VartkError
from vartk.engine.folder import save_model
from vartk.images import to_uint8

LABELS = [0, 1, 2]
SCALES = 3


def smaller(**changes):
    """A model of the tokenizer of `tiny_model()`, with a transformer of its own."""
    model = tiny_model(1, **{"transformer.depth": 1, "transformer.width": 16, **changes})
    model.tokenizer.load_state_dict(tiny_model().tokenizer.state_dict())
    return model


@pytest.fixture(scope="module")
def drafter():
    return tiny_model()


@pytest.fixture(scope="module")
def refiner():
    return smaller()


def codes(samples):
    return torch.cat(samples.codes, dim=1)


@pytest.mark.parametrize("draft", range(SCALES + 1))
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"guidance": {"name": "constant", "scale": 2.0, "stop": 0.4}},
        {"guidance": 0.0},
        {"random": "shared", "batch": 2},
        {"cache": {"name": "window", "last": 1}},
        {"cache": {"name": "fastvar", "ratios": [0.5]}},
        {"cache": ["sink", {"name": "skip_last", "scales": 1}]},
        {"schedule": [1, 3, 4]},
        {"smooth": True},
    ],
    ids=str,
)
def test_a_model_that_refines_itself_samples_as_usual(drafter, settings, draft):
    expected = drafter.sample(LABELS, seed=3, **settings)
    made = drafter.sample(LABELS, seed=3, refiner=drafter, draft=draft, **settings)
    assert torch.equal(codes(made), codes(expected))
    torch.testing.assert_close(made.images, expected.images, rtol=0, atol=1e-4)


def test_all_scales_are_the_drafters_and_none_are_the_refiners(drafter, refiner):
    by_drafter, by_refiner = codes(drafter.sample(LABELS)), codes(refiner.sample(LABELS))
    assert not torch.equal(by_drafter, by_refiner)
    assert torch.equal(codes(drafter.sample(LABELS, refiner=refiner, draft=SCALES)), by_drafter)
    assert torch.equal(codes(drafter.sample(LABELS, refiner=refiner, draft=0)), by_refiner)


@pytest.mark.parametrize("guidance", [0.0, 2.0])
def test_the_refiner_predicts_from_the_drafters_codes(drafter, refiner, guidance):
    """Drawn greedily, its scales are the best of its own teacher-forced logits."""
    settings = {"sampler": "greedy", "guidance": {"name": "constant", "scale": guidance}}
    made = drafter.sample(LABELS, refiner=refiner, draft=2, **settings)
    own = drafter.sample(LABELS, **settings)
    assert all(torch.equal(a, b) for a, b in zip(made.codes[:2], own.codes[:2], strict=True))
    assert not torch.equal(made.codes[2], own.codes[2])
    logits = refiner.logits(LABELS, made.codes)
    null = refiner.logits([None] * len(LABELS), made.codes)
    guided = (1 + guidance) * logits - guidance * null
    assert torch.equal(made.codes[2], guided[:, 5:].argmax(dim=-1))


def test_a_seed_gives_the_same_image_in_any_batch(drafter, refiner):
    both = {"refiner": refiner, "draft": 1}
    together = drafter.sample(LABELS, seed=7, batch=2, **both)
    for index, label in enumerate(LABELS):
        alone = drafter.sample([label], seed=7 + index, **both)
        assert torch.equal(codes(alone)[0], codes(together)[index])


def test_each_model_has_its_own_defaults(drafter, refiner):
    """Here a cache of the refiner alone, which must take in the drafter's scales through it."""
    windowed = smaller(**{"sampling.cache": {"name": "window", "last": 1}})
    states = list(drafter.stream(LABELS, refiner=windowed, draft=2))
    token = 2 * len(LABELS) * 4  # k and v and both halves of guidance, fp32, without a channel
    width, layers, all_tokens = 32, 2, 21
    full = 2 * token * all_tokens * width * layers
    assert [state.cache_bytes for state in states[:2]] == [full, full]
    assert states[2].cache_bytes == 0  # a window holds nothing after the last scale
    usual = drafter.sample(LABELS, refiner=refiner, draft=2)
    assert torch.equal(codes(usual)[:, :5], torch.cat([s.codes for s in states[:2]], dim=1))
    assert not torch.equal(usual.codes[2], states[2].codes)


def test_edits_of_drafted_scales_reach_the_refiner(drafter, refiner):
    def last(edit):
        states = drafter.stream(LABELS, refiner=refiner, draft=2, sampler="greedy")
        for state in islice(states, 2):
            if edit:
                state.vectors = -state.vectors
        return next(states).codes

    assert not torch.equal(last(edit=True), last(edit=False))


def test_the_drafters_keys_are_freed_before_the_refiner_begins(drafter, refiner, monkeypatch):
    transformer = drafter.predictor.transformer
    begin, sessions = transformer.begin, []

    def watched(*arguments):
        session = begin(*arguments)
        sessions.append(weakref.ref(session))
        return session

    monkeypatch.setattr(transformer, "begin", watched)
    # computed as they are, models are not copied
    states = drafter.stream(LABELS, refiner=refiner, draft=2, precision="plain")
    kept = list(islice(states, 2))
    (session,) = sessions
    assert session() is not None
    kept.append(next(states))
    assert session() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"quantizer.classes": 12},
            r"predicts other codes, CodeSpace\(classes=12.* on the drafter's tok",
        ),
        ({"classes": ["dark", "light"]}, r"has 2 classes \(dark, light\), the drafter 3 classes \(dark, l"),
        ({"schedule.grids": [1, 3, 4]}, "the refiner's scales are 1, 3, 4, the drafter's 1, 2, 4; give"),
    ],
)
def test_models_that_do_not_fit_are_refused(drafter, changes, message):
    other = tiny_model(1, **changes)
    if "quantizer.classes" not in changes:
        other.tokenizer.load_state_dict(drafter.tokenizer.state_dict())
    with pytest.raises(VartkError, match=message):
        drafter.sample(LABELS, refiner=other, draft=1)


def test_what_is_no_refiner_is_refused(drafter, refiner):
    with pytest.raises(VartkError, match="has another tokenizer than the drafter"):
        drafter.sample(LABELS, refiner=tiny_model(1), draft=1)
    with pytest.raises(VartkError, match="is a tokenizer alone and cannot sample"):
        drafter.sample(LABELS, refiner=tiny_model(predictor=False), draft=1)
    with pytest.raises(VartkError, match=r"refiner='small' is no model; load it, as in refiner=vartk\.load"):
        drafter.sample(LABELS, refiner="small", draft=1)
    for given in ({"refiner": refiner}, {"draft": 1}):
        with pytest.raises(VartkError, match=r"takes a refiner, .* and draft, .* give both, or neither"):
            drafter.sample(LABELS, **given)
    for draft in (-1, SCALES + 1):
        with pytest.raises(VartkError, match=f"draft={draft} is out of range; give 0 to 3 scales"):
            drafter.sample(LABELS, refiner=refiner, draft=draft)


def test_the_command(vartk, refused, model_folder, tmp_path):
    save_model(smaller(), tmp_path / "small")
    words = ("--refiner", tmp_path / "small", "--draft", 2, "--count", 3)
    ran = vartk("sample", model_folder, *words, "--json", "--out", tmp_path / "both")
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    assert record["refiner"]["draft"] == 2
    assert record["refiner"]["sampling"]["cache"] == {"name": "full"}
    made = to_uint8(tiny_model().sample(LABELS, refiner=smaller(), draft=2).images)
    for index, image in enumerate(made):
        pixels = torch.tensor(np.array(Image.open(tmp_path / "both" / f"00000{index}.png"))).movedim(2, 0)
        # a sum in another order rounds the other way
        torch.testing.assert_close(pixels.int(), image.int(), rtol=0, atol=1)
    message = refused("sample", model_folder, "--draft", 2, "--out", tmp_path / "more")
    assert "takes a refiner" in message
    message = refused("sample", model_folder, *words[:2], "--draft", 9, "--out", tmp_path / "more")
    assert "draft=9 is out of range" in message
    assert not (tmp_path / "more").exists()
