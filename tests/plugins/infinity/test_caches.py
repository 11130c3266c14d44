"""Every cache strategy, attention backend and precision with Infinity's transformer, in miniature."""

from dataclasses import dataclass

import pytest
import torch
from evicting import CACHES as EVICTING
from tiny_text import text_model

from vartk.components import plugins
from vartk_registry import MissingRequirement, Unsupported

pytestmark = pytest.mark.usefixtures("one_thread")

GRIDS = [1, 1, 1, 2, 4]
PROMPTS = ("red", "green flat pear", "the pear of the apple")
NO_PRUNING = {"ratios": [0.0, 0.0]}
CACHES = {name: {"name": name} for name in plugins().registry.names("cache")} | {
    "ams_kv+fastvar": ["ams_kv", "fastvar"]
}
COVERING = {
    **{name: {"name": name, **params} for name, params in EVICTING.items()},
    "fastvar": {"name": "fastvar", **NO_PRUNING},
    "tome": {"name": "tome", **NO_PRUNING},
    "fastervar": {"name": "fastervar", "ratios": [[1]], "drop_conditional": False},
}


@dataclass
class Made:
    codes: list[torch.Tensor]
    images: torch.Tensor
    bytes: int


@pytest.fixture(scope="module", params=[1, 2], ids=["codes", "patches"])
def model(request, tmp_path_factory):
    """Prompts are random vectors of words; with patches each grid is twice as large."""
    patch = request.param
    return text_model(
        tmp_path_factory.mktemp("encoder"),
        **{
            "image_size": 16 * patch,
            "schedule": {"name": "custom", "grids": [patch * side for side in GRIDS]},
            "conditioner": {"name": "text", "encoder": "random", "length": 8},
            "transformer.patch": patch,
            "transformer.text_width": 32,
        },
    )


@pytest.fixture(scope="module")
def made(model):
    kept = {}

    def make(cache="full", attention="eager", precision="plain", prompts=PROMPTS):
        key = str((cache, attention, precision, prompts))
        if key not in kept:
            codes, most = [], 0
            settings = {"cache": cache, "attention": attention, "precision": precision}
            for state in model.stream(
                prompts, seed=3, guidance={"name": "constant", "scale": 2.0}, **settings
            ):
                codes.append(state.codes)
                most = max(most, state.cache_bytes)
            kept[key] = Made(codes, state.images, most)
        return kept[key]

    return make


def same(a, b):
    return len(a) == len(b) and all(map(torch.equal, a, b))


@pytest.mark.parametrize("cache", CACHES.values(), ids=CACHES)
def test_backends_and_precisions_draw_the_same_bits(made, cache):
    expected = made(cache)
    for attention in ("eager", "sdpa", "flex", "matmul"):
        try:
            found = made(cache, attention, "fp32")
        except (MissingRequirement, Unsupported):
            continue
        assert same(found.codes, expected.codes), attention
    half = made(cache, "sdpa", "bf16")
    assert half.images.isfinite().all()
    assert half.bytes < 0.6 * expected.bytes  # stored outputs of sub-layers stay in fp32
    alike = [a == b for a, b in zip(half.codes, expected.codes, strict=True)]
    assert torch.cat(alike, dim=1).float().mean() > 0.9


@pytest.mark.parametrize("cache", COVERING.values(), ids=COVERING)
def test_what_leaves_nothing_out_equals_full(made, cache):
    assert same(made(cache, "sdpa", "fp32").codes, made("full", "sdpa", "fp32").codes)


@pytest.mark.parametrize("cache", ["full", "fastvar", "fastervar", "ams_kv"])
def test_an_image_is_the_same_in_any_batch(made, cache):
    alone, together = made(cache, "sdpa", "fp32", PROMPTS[:1]), made(cache, "sdpa", "fp32")
    assert same(alone.codes, [codes[:1] for codes in together.codes])


def test_pruned_tokens_are_turned_by_their_own_places(made):
    """Pruning keeps most bits as they were: positions that were mixed up would change about half."""
    full = made("full", "sdpa", "fp32")
    pruned = made({"name": "fastvar", "ratios": [0.25], "first": 0, "last": 1}, "sdpa", "fp32")
    assert same(pruned.codes[:-1], full.codes[:-1])
    share = (pruned.codes[-1] == full.codes[-1]).float().mean()
    assert 0.7 < share < 1
