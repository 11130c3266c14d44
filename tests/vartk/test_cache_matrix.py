"""Every cache strategy with every attention backend in every precision, on one tiny model."""

import itertools
from collections import defaultdict
from dataclasses import dataclass

import pytest
import torch
from evicting import CACHES as EVICTING
from tiny import tiny_model

from vartk.components import plugins
from vartk_registry import MissingRequirement, Unsupported
from vartk_registry.interfaces import Schedule

pytestmark = pytest.mark.usefixtures("one_thread")

DEFAULTS = {name: {"name": name} for name in plugins().registry.names("cache")}
LOSSY = {
    **DEFAULTS,
    "hack, both sorts of heads": {"name": "hack", "contextual": [[0], [1]]},
    "ams_kv+fastvar+skip_last": ["ams_kv", "fastvar", "skip_last"],
    "hack+tome": [{"name": "hack", "contextual": [[0], [1]]}, "tome"],
}
"""What each does by default, and chains; `full`, which evicts nothing, is among them."""

NO_PRUNING = {"ratios": [0.0, 0.0]}
COVERING = {
    **{name: {"name": name, **params} for name, params in EVICTING.items()},
    "fastvar": {"name": "fastvar", **NO_PRUNING},
    "tome": {"name": "tome", **NO_PRUNING},
    "fastervar": {"name": "fastervar", "ratios": [[1]], "drop_conditional": False},
    "skip_last": {"name": "skip_last", "scales": 0},
    "hack, both sorts of heads": {"name": "hack", "budget": 1, "contextual": [[0], [1]]},
    "sink+fastvar": [{"name": "sink", "share": 1}, {"name": "fastvar", **NO_PRUNING}],
}
"""Parameters with which each leaves nothing out."""

CPU = ("eager", "sdpa", "flex")
MATMUL = ("matmul", "bf16", "cpu")  # where the processor has products in bf16
GPU = [
    pytest.param(attention, precision, "cuda", marks=pytest.mark.gpu)
    for attention, precision in (
        *itertools.product(("sdpa", "xformers"), ("fp32", "bf16", "fp16")),
        ("flash", "bf16"),
        ("flash", "fp16"),
    )
]
HALVES = ("bf16", "fp16")

GRIDS = [1, 1, 1, 2, 4]
LABELS = (0, 1, 2)


@dataclass
class Made:
    """A generation's codes by scale, its images, and the most bytes that its cache held after a scale."""

    codes: list[torch.Tensor]
    images: torch.Tensor
    bytes: int


@pytest.fixture(scope="module")
def models():
    """The same model for each precision and device: it prepares its layers anew where these change."""
    return defaultdict(lambda: tiny_model(**{"schedule.grids": GRIDS}))


def on_cpu(*precisions):
    return [(*pair, "cpu") for pair in itertools.product(CPU, precisions)]


def generated(model, cache, attention, precision, labels=LABELS, **settings):
    settings = {"seed": 3, "cache": cache, "attention": attention, "precision": precision, **settings}
    codes, most = [], 0
    for state in model.stream(labels, **settings):
        codes.append(state.codes)
        most = max(most, state.cache_bytes)
    return Made(codes, state.images, most)


@pytest.fixture(scope="module")
def made(models):
    """Generations by cache, attention, precision and device, each made once."""
    kept = {}

    def make(cache, attention, precision, device="cpu"):
        key = str(cache), attention, precision, device
        if key not in kept:
            model = models[precision, device].to(device)
            try:
                kept[key] = generated(model, cache, attention, precision)
            except (MissingRequirement, Unsupported) as error:
                if attention in CPU:
                    raise
                pytest.skip(str(error))
        return kept[key]

    return make


def same(a, b):
    return len(a) == len(b) and all(map(torch.equal, a, b))


@pytest.mark.parametrize("cache", LOSSY.values(), ids=LOSSY)
@pytest.mark.parametrize("attention", CPU)
def test_fp32_draws_the_codes_of_the_plain_layers_under_eager_attention(made, cache, attention):
    expected = made(cache, "eager", "plain")
    for precision in ("plain", "fp32"):
        found = made(cache, attention, precision)
        assert same(found.codes, expected.codes)
        assert found.bytes == expected.bytes
        torch.testing.assert_close(found.images, expected.images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("cache", LOSSY.values(), ids=LOSSY)
@pytest.mark.parametrize(("attention", "precision", "device"), [*on_cpu("bf16"), MATMUL, *GPU])
def test_half_precision_takes_half_the_bytes_and_flips_few_codes(made, cache, attention, precision, device):
    found, expected = made(cache, attention, precision, device), made(cache, "sdpa", "fp32", device)
    assert found.images.isfinite().all()
    assert found.bytes == expected.bytes / (2 if precision in HALVES else 1)
    alike = [a == b for a, b in zip(found.codes, expected.codes, strict=True)]
    assert torch.cat(alike, dim=1).float().mean() > 0.8


@pytest.mark.parametrize("cache", COVERING.values(), ids=COVERING)
@pytest.mark.parametrize(
    ("attention", "precision", "device"), [*on_cpu("plain", "fp32", "bf16"), MATMUL, *GPU]
)
def test_what_leaves_nothing_out_equals_full(made, cache, attention, precision, device):
    found, full = (made(each, attention, precision, device) for each in (cache, DEFAULTS["full"]))
    assert same(found.codes, full.codes)
    assert torch.equal(found.images, full.images)


@pytest.mark.parametrize("cache", [name for name in LOSSY if name not in ("full", "tome", "fastvar")])
def test_by_default_something_is_left_out(made, cache):
    """Otherwise the tests above would be of `full` alone."""
    found, full = (made(LOSSY[each], "sdpa", "fp32") for each in (cache, "full"))
    assert found.bytes < full.bytes


@pytest.mark.parametrize("cache", LOSSY.values(), ids=LOSSY)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_batches_of_different_sizes_one_after_another(models, made, cache, precision):
    """An image is what it is in any batch, whatever was generated before."""
    first = made(cache, "sdpa", precision)
    for labels in (LABELS[:1], LABELS[:2], LABELS):
        again = generated(models[precision, "cpu"], cache, "sdpa", precision, labels)
        assert same(again.codes, [codes[: len(labels)] for codes in first.codes])
        assert again.bytes == first.bytes * len(labels) / len(LABELS)


SCHEDULES = {"repeated grids": GRIDS, "not square": [1, [1, 2], [1, 2], [2, 3], [2, 4], 4]}


@pytest.fixture(scope="module", params=[1, 2], ids=["codes", "patches"])
def patched(request):
    return tiny_model(**{"schedule.grids": GRIDS, "transformer.patch": request.param})


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("cache", COVERING.values(), ids=COVERING)
def test_steps_equal_one_teacher_forced_pass(patched, cache, schedule):
    settings = {"schedule": schedule, "guidance": 0, "sampler": "greedy"}
    codes = generated(patched, cache, "sdpa", "plain", **settings).codes
    logits = patched.logits(LABELS, codes, schedule)
    assert torch.equal(logits.argmax(dim=-1), torch.cat(codes, dim=1))


@pytest.mark.parametrize("cache", LOSSY.values(), ids=LOSSY)
def test_a_schedule_that_is_not_square(patched, cache):
    schedule = SCHEDULES["not square"]
    found = generated(patched, cache, "sdpa", "plain", schedule=schedule)
    sizes = list(Schedule.of(schedule).sizes)
    assert [codes.shape[1] for codes in found.codes] == sizes[: len(sizes) - ("skip_last" in str(cache))]
    assert found.images.isfinite().all()
    full = generated(patched, DEFAULTS["full"], "sdpa", "plain", schedule=schedule)
    assert same(found.codes[:2], full.codes[:2])  # nothing is left out so early
