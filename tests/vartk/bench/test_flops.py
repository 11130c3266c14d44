"""vartk bench flops: against counts by hand, and against fvcore's own trace of real tensors."""

import json
import warnings
from math import prod

import pytest
import tiny
import torch
from torch import nn

from vartk.bench.flops.count import ATTENTION, KINDS, count_flops
from vartk.bench.model import model_config
from vartk.components import plugins
from vartk.engine.attention import build_attention

pytestmark = pytest.mark.usefixtures("one_thread")

DEPTH, WIDTH, HEADS, CHANNELS, CLASSES = 2, 32, 2, 8, 24
SIZES, ENDS = (1, 4, 16), (1, 5, 21)
"""The tokens of each scale of `tiny.CONFIG`, and the keys that they see."""


@pytest.fixture(scope="module")
def counted():
    return count_flops(tiny.tiny_config())


def part(result, name):
    (found,) = (part for part in result["parts"] if part["part"] == name)
    return {kind: found[kind] for kind in (*KINDS, "total")}


def conv(inputs, outputs, side, kernel=3):
    return 2 * kernel**2 * inputs * outputs * side**2


def linear(tokens, embedded, batch=1, prologue=True):
    """The transformer's products: of each token in each block, of the inputs, the head, the modulations."""
    block = 12 * WIDTH**2 * tokens
    modulations = (DEPTH * 6 + 2) * WIDTH**2 if prologue else 0
    head = tokens * WIDTH * CLASSES
    return 2 * batch * (DEPTH * block + modulations + embedded * CHANNELS * WIDTH + head)


def attention(sizes, ends, batch=1):
    pairs = sum(size * end for size, end in zip(sizes, ends, strict=True))
    return 4 * WIDTH // HEADS * pairs * HEADS * DEPTH * batch


def with_total(**counts):
    counts = dict.fromkeys(KINDS, 0) | counts
    return {**counts, "total": sum(counts.values())}


def test_the_transformer_by_hand(counted):
    expected = with_total(linear=linear(21, 20), attention=attention(SIZES, ENDS))
    assert part(counted, "forward") == expected


def test_the_tokenizer_by_hand(counted):
    at_4, at_8, at_16 = (conv(32, 32, side) for side in (4, 8, 16))
    phi = 3 * conv(CHANNELS, CHANNELS, 4)
    blocks = 2 * at_16 + 2 * at_8 + 2 * at_4 + 4 * at_4  # three levels and the middle
    halved = at_8 + at_4
    ends = conv(3, 32, 16) + conv(32, CHANNELS, 4) + conv(CHANNELS, CHANNELS, 4)
    search = 2 * 21 * CHANNELS * CLASSES
    encode = with_total(linear=search, convolution=ends + blocks + halved + phi)
    assert part(counted, "encode") == encode
    blocks = 4 * at_16 + 4 * at_8 + 4 * at_4 + 4 * at_4
    doubled = at_16 + at_8
    ends = conv(CHANNELS, CHANNELS, 4) + conv(CHANNELS, 32, 4) + conv(32, 3, 16)
    assert part(counted, "decode") == with_total(convolution=ends + blocks + doubled)


@pytest.mark.parametrize(("name", "batch"), [("guided", 2), ("unguided", 1)])
def test_cached_steps_by_hand(counted, name, batch):
    """Guidance runs two; the tokenizer adds each scale to one image."""
    phi = conv(CHANNELS, CHANNELS, 4)
    expected = [
        with_total(
            linear=linear(size, size if step else 0, batch, prologue=step == 0),
            attention=attention([size], [end], batch),
            convolution=phi,
        )
        for step, (size, end) in enumerate(zip(SIZES, ENDS, strict=True))
    ]
    assert [scale[name] for scale in counted["scales"]] == expected
    assert part(counted, name)["total"] == sum(scale["total"] for scale in expected)
    assert [scale["tokens"] for scale in counted["scales"]] == list(SIZES)


def test_guidance_of_some_scales_counts_for_those_before():
    result = count_flops(
        tiny.tiny_config(**{"sampling.guidance": {"name": "interval", "start": 0.5, "stop": 0.5}})
    )
    twice = [scale["guided"]["attention"] / scale["unguided"]["attention"] for scale in result["scales"]]
    assert twice == [2, 2, 1]


def test_fvcores_own_trace_agrees(counted):
    """fvcore traces the model on real tensors; it lacks a handle for attention alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

    model = tiny.tiny_model()
    attend = build_attention(ATTENTION, plugins().registry)

    class Forward(nn.Module):
        def __init__(self):
            super().__init__()
            self.predictor = model.predictor

        def forward(self, inputs, conditions):
            return self.predictor(inputs, conditions, model.schedule, attend)

    def products(inputs, outputs):
        q, k = (value.type().sizes() for value in inputs[:2])
        return 2 * prod(q) * k[-2]

    inputs = (torch.zeros(1, 20, CHANNELS), torch.tensor([0]))
    analysis = FlopCountAnalysis(Forward().eval(), inputs).tracer_warnings("none")
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    found = analysis.set_op_handle("aten::scaled_dot_product_attention", products).by_operator()
    forward = part(counted, "forward")
    assert 2 * found["linear"] == forward["linear"]
    assert 2 * found["scaled_dot_product_attention"] == forward["attention"]


def test_parameters(counted):
    model = tiny.tiny_model()
    transformer, conditioner = model.predictor.transformer, model.predictor.conditioner
    named = {"tokenizer": model.tokenizer, "transformer": transformer, "conditioner": conditioner}
    sizes = {name: sum(p.numel() for p in module.parameters()) for name, module in named.items()}
    assert counted["parameters"] == sizes


def test_a_model_folder_and_a_file_count_alike(config, model_folder):
    assert count_flops(model_config(str(model_folder))) == count_flops(model_config(config))
    deeper = count_flops(model_config(str(model_folder), ["transformer.depth=4"]))
    assert part(deeper, "forward")["attention"] == 2 * attention(SIZES, ENDS)


def test_scales_that_a_cache_leaves_out_count_nothing(counted):
    skipped = count_flops(tiny.tiny_config(**{"sampling.cache": "skip_last"}))
    assert [scale["guided"]["total"] > 0 for scale in skipped["scales"]] == [True, True, False]
    assert skipped["scales"][:2] == counted["scales"][:2]


@pytest.mark.parametrize("cache", ["ams_kv", "scale_kv", "hack", "fastvar"])
def test_caches_that_look_at_numbers_are_counted_without_them(cache):
    grids = {"schedule.grids": [1, 1, 1, 1, 2, 4]}  # enough scales for every budget to be used up
    result = count_flops(tiny.tiny_config(**{"sampling.cache": cache}, **grids))
    # a scale has at least its head's products
    assert all(
        scale["guided"]["linear"] >= 2 * scale["tokens"] * WIDTH * CLASSES for scale in result["scales"]
    )


def test_neighbourhoods_by_hand():
    """Along an axis 3 cells see 2, 3 and 2 of each other; 4 cells see 2, 3, 3 and 2 of 3 cells, or of 4."""
    mvar = {"transformer.context": 1, "transformer.neighbourhood": 3, "schedule.grids": [1, 3, 4]}
    result = count_flops(tiny.tiny_config(**mvar))
    pairs = [1, 9 + 7**2, 10**2 + 10**2]
    assert part(result, "forward")["attention"] == attention([1], [sum(pairs)])
    assert [scale["guided"]["attention"] for scale in result["scales"]] == [
        attention([1], [count], batch=2) for count in pairs
    ]


def test_a_projected_scale_by_hand():
    cache = {"name": "fastervar", "scales": 1, "ratios": [[0.5]]}
    scale = count_flops(tiny.tiny_config(**{"sampling.cache": cache}))["scales"][2]["guided"]
    rows = 9  # int(.5 * 16) + 1, of the null branch alone
    whole, blocks = linear(16, 16, prologue=False), 2 * DEPTH * 12 * WIDTH**2
    projection = 2 * rows * 16 * WIDTH
    assert scale["linear"] == whole - (16 - rows) * blocks
    assert scale["attention"] == attention([rows], [1 + 4 + rows]) + projection


def test_bench_flops(vartk, model_folder, tmp_path, counted):
    ran = vartk("bench", "flops", model_folder, "--out", tmp_path / "flops.md", "--json")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    assert result["command"] == f"vartk bench flops {model_folder}"
    assert result["parts"] == counted["parts"]
    assert result["uncounted"] == {}
    page = (tmp_path / "flops.md").read_text()
    assert "## Cached steps" in page
    assert f"| tokenizer | {counted['parameters']['tokenizer']:,} |" in page
    shown = vartk("bench", "flops", model_folder).out
    assert "transformer: all steps at once" in shown
    assert "a multiply-add is two" in shown


def test_wrong_input(refused, model_folder):
    assert "no configuration 'var-d61'" in refused("bench", "flops", "var-d61")
    assert "did you mean" in refused("bench", "flops", model_folder, "transformer.dept=3")
