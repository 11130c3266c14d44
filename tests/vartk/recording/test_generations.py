"""Generations that are replayed: CUDA graphs on a GPU, recorded operations on a CPU."""

import threading
from itertools import islice

import pytest
import torch
from tiny import tiny_model

from vartk import VartkError
from vartk.components import plugins
from vartk_registry.caches import AllScales, AllTokens

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = [0, 1, 2]
GRIDS = [1, 1, 1, 2, 4]
DECIDED = {"name": "ams_kv", "demanding": [1]}
CACHES = {
    **{name: name for name in plugins().registry.names("cache") if name != "ams_kv"},
    "ams_kv": DECIDED,
    "hack, both sorts of heads": {"name": "hack", "contextual": [[0], [1]]},
    "ams_kv+fastvar+skip_last": [DECIDED, "fastvar", "skip_last"],
    "h2o+tome": ["h2o", "tome"],
}


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    return request.param


@pytest.fixture(scope="module")
def model(device):
    return tiny_model(**{"schedule.grids": GRIDS}).to(device)


def codes(states):
    return torch.cat([state.codes for state in states], dim=1)


def check_recorded(model, labels=LABELS, **settings):
    """Check a replay, from other numbers than those that were recorded, against the usual generation."""
    expected = list(model.stream(labels, seed=3, **settings))
    list(model.stream(labels[::-1], seed=8, record="always", **settings))
    made = list(model.stream(labels, seed=3, record="always", **settings))
    assert [state.unrecorded for state in made] == [""] * len(made)
    assert torch.equal(codes(made), codes(expected))
    assert [state.cache_bytes for state in made] == [state.cache_bytes for state in expected]
    assert torch.equal(made[0].images, expected[0].images)
    assert torch.equal(made[-1].images, expected[-1].images)


@pytest.mark.parametrize("cache", CACHES.values(), ids=CACHES)
@pytest.mark.parametrize("precision", ["plain", "fp32", "bf16"])
def test_a_replay_equals_a_generation_with_every_cache(model, cache, precision):
    check_recorded(model, cache=cache, precision=precision)


@pytest.mark.parametrize(
    "settings",
    [
        {"guidance": 0.0},
        {"guidance": {"name": "constant", "scale": 2.0, "stop": 0.4}},
        {"guidance": {"name": "interval", "scale": 3.0}},
        {"sampler": "greedy"},
        {"smooth": True},
        {"top_k": 0, "top_p": 0.5},
        {"attention": "eager"},
        {"schedule": [1, 3, 4]},
    ],
    ids=str,
)
def test_a_replay_equals_a_generation_with_other_settings(model, settings):
    check_recorded(model, **settings)


@pytest.mark.parametrize(
    "quantizer", [{"name": "fsq", "levels": [3, 3, 3]}, {"name": "lfq"}], ids=lambda slot: slot["name"]
)
def test_codes_of_other_quantizers(quantizer, device):
    latent = len(quantizer.get("levels", "ab"))
    check_recorded(
        tiny_model(**{"quantizer": quantizer, "tokenizer.latent": latent, "sampling.sampler.top_k": 2})
    )


@pytest.mark.parametrize("grids", [[], [1, 2, 4]], ids=["latent", "several scales"])
@pytest.mark.parametrize("settings", [{}, {"cache": "h2o"}, {"guidance": 0.0}, {"smooth": True}], ids=str)
def test_raster_order(grids, settings, device):
    check_recorded(tiny_model(schedule={"name": "raster", "grids": grids}).to(device), **settings)


def test_one_image_has_its_decoder_recorded(model):
    check_recorded(model, labels=[1])


def test_an_edit_is_seen_by_the_scales_that_follow(model):
    def edited(**settings):
        made = []
        for state in model.stream(LABELS, seed=3, **settings):
            if state.step == 1:
                state.vectors[:, 0] = 0  # in place
            if state.step == 2:
                state.vectors = -state.vectors
            made.append(state)
        return made

    expected, found = edited(), edited(record="always")
    assert torch.equal(codes(found), codes(expected))
    assert torch.equal(found[-1].f_hat, expected[-1].f_hat)
    assert not torch.equal(codes(found), codes(model.stream(LABELS, seed=3)))


@pytest.mark.parametrize("draft", range(len(GRIDS) + 1))
def test_a_refiner_goes_on_from_a_draft(model, draft):
    expected = model.sample(LABELS, seed=3, refiner=model, draft=draft)
    for _ in range(2):
        made = model.sample(LABELS, seed=3, refiner=model, draft=draft, record="always")
        assert torch.equal(made.images, expected.images)


def test_what_was_handed_out_stays(model):
    first = list(model.stream(LABELS, seed=3, record="always"))
    before = codes(first), first[-1].vectors.clone(), first[-1].images
    list(model.stream(LABELS, seed=4, record="always"))
    assert torch.equal(codes(first), before[0])
    assert torch.equal(first[-1].vectors, before[1])
    assert torch.equal(first[-1].images, before[2])


def test_an_abandoned_generation_leaves_the_recording_free(model):
    abandoned = model.stream(LABELS, seed=3, record="always")
    next(abandoned)
    abandoned.close()
    check_recorded(model)


def test_a_consumer_that_fails_leaves_the_recording_free(model):
    def fail():
        for _ in model.stream(LABELS, seed=3, record="always"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    check_recorded(model)


def test_two_generations_at_once_do_not_mix(model):
    one, other = (model.stream(LABELS, seed=seed, record="always") for seed in (3, 4))
    pairs = list(zip(one, other, strict=True))
    assert torch.equal(codes(a for a, _ in pairs), codes(model.stream(LABELS, seed=3)))
    assert torch.equal(codes(b for _, b in pairs), codes(model.stream(LABELS, seed=4)))
    assert "another generation" in pairs[-1][1].unrecorded


def test_threads_do_not_mix(model):
    expected = {seed: codes(model.stream(LABELS, seed=seed)) for seed in range(8)}
    made = {}

    def run(seeds):
        for seed in seeds:
            made[seed] = codes(model.stream(LABELS, seed=seed, record="always"))

    threads = [threading.Thread(target=run, args=(range(start, 8, 4),)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(made[seed], expected[seed]) for seed in range(8))


def test_inference_mode_and_the_usual_one_share_a_recording(model):
    with torch.inference_mode():
        list(model.stream(LABELS, seed=5, record="always"))
    check_recorded(model)
    with torch.inference_mode():
        check_recorded(model)


def test_changed_weights_are_recorded_anew(device):
    model = tiny_model().to(device)
    list(model.stream(LABELS, seed=3, record="always"))
    with torch.no_grad():
        model.predictor.transformer.head.weight.neg_()
    check_recorded(model)


def test_a_nan_is_found(device):
    broken = tiny_model(**{"schedule.grids": GRIDS}).to(device)
    with torch.no_grad():
        broken.predictor.transformer.head.bias.fill_(torch.nan)
    with pytest.raises(VartkError, match="scale 1 of 5: the logits are NaN"):
        list(broken.stream(LABELS, seed=3, record="always"))


class Peeking(AllScales):
    """A strategy whose state looks at a number, for which a GPU would have to wait."""

    lossless = True

    def start(self, plan):
        return PeekingState()


class PeekingState(AllTokens):
    def append(self, layer, step, q, k, v):
        assert k.sum().item() != 0.5
        return k, v

    def narrow(self, batch):
        pass

    def nbytes(self):
        return 0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"cache": "ams_kv"}, r"ams_kv\.py, line \d+: "),
        ({"random": "shared"}, "random=shared"),
        ({"strategy": Peeking()}, "given as an object"),
    ],
    ids=["cache", "random", "strategy"],
)
def test_what_cannot_be_recorded_is_refused_with_its_reason(model, settings, reason):
    with pytest.raises(VartkError, match=f"record=always: .*{reason}.*record=auto"):
        list(islice(model.stream(LABELS, seed=3, record="always", **settings), 1))
