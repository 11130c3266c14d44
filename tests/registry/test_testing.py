"""The conformance kit: tiny components that follow the interfaces pass, each broken rule is named."""

import re
import sys
from dataclasses import dataclass, replace
from functools import partial
from random import random
from types import FunctionType, ModuleType

import pytest
import torch
from smallest import (
    GOOD,
    PLAIN,
    SCHEDULE,
    Codebook,
    Colours,
    Dense,
    Difference,
    Drawn,
    Edges,
    EveryOther,
    Halving,
    KeepAll,
    KeepAllState,
    Names,
    OneLayer,
    OneLayerSession,
    Patches,
    Rows,
    Squares,
    Unguided,
)
from torch.nn import functional as F

from vartk_registry import ComponentSpec, MaskSpec, Registry, Unsupported, VartkError, testing
from vartk_registry.interfaces import CodeSpace, Condition, Draw, Example, Schedule
from vartk_registry.testing import dense_attend


def check_transformer(transformer, cache=KeepAll):
    testing.check_transformer(
        transformer,
        Condition(torch.randn(3, 8, generator=torch.Generator().manual_seed(0))),
        schedule=SCHEDULE,
        space=transformer.space,
        channels=4,
        cache=cache(),
    )


CHECKS = {
    "schedule": lambda component: testing.check_schedule(component, (4, 6)),
    "guidance": testing.check_guidance,
    "sampler": testing.check_sampler,
    "quantizer": testing.check_quantizer,
    "tokenizer": lambda component: testing.check_tokenizer(component, (8, 16), SCHEDULE),
    "conditioner": lambda component: testing.check_conditioner(component, ["a", "c", "b"]),
    "transformer": check_transformer,
    "attention": testing.check_attention,
    "cache": testing.check_cache,
    "dataset": testing.check_dataset,
    "feature": testing.check_feature,
    "discriminator": testing.check_discriminator,
    "metric": testing.check_metric,
    "logger": testing.check_logger,
}


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(("kind", "make"), GOOD)
def test_components_that_follow_the_interface_pass(kind, make):
    CHECKS[kind](make())


def broken(base, **changes):
    """A subclass with other attributes; a function takes the original method before the arguments."""

    def method(name, change):
        return lambda self, *args, **named: change(partial(getattr(base, name), self), *args, **named)

    changed = {
        name: method(name, change) if isinstance(change, FunctionType) else change
        for name, change in changes.items()
    }
    return type(f"Broken{base.__name__}", (base,), changed)


def with_space(loss):
    """A codebook whose codes have another loss."""
    return partial(Codebook, space=broken(CodeSpace, loss=loss)(PLAIN.classes))


def stateful(base, **changes):
    """A cache strategy whose state is broken."""
    return broken(base, state=broken(base.state, **changes))


class NarrowedViews(KeepAllState):
    def narrow(self, batch):
        self.kept = {layer: (k[:batch], v[:batch]) for layer, (k, v) in self.kept.items()}


class AttendsToOneQuery(KeepAllState):
    def attend(self, layer, step, q, k, v, attend):
        return attend(q, *self.append(layer, step, q, k, v))[:, :1]


class Leaking(KeepAll):
    shared = KeepAllState()

    def start(self, plan):
        return self.shared


class Letters(Names):
    def __init__(self):
        super().__init__()
        self.choices = "abc"


class LastSample(OneLayerSession):
    def narrow(self, batch):
        self.cache.kept = {0: tuple(kv.flip(0)[:batch] for kv in self.cache.kept[0])}


def cut(output):
    """A tokenizer's output without a gradient to the encoder."""
    return replace(output, images=output.images.detach().requires_grad_(), losses={})


def unmasked(q, k, v, *, mask, scale):
    return dense_attend(q, k, v, mask=MaskSpec.full(mask.q_len, mask.kv_len), scale=scale)


SIZE = "must have shape"
BROKEN = {
    "schedule": [
        (broken(Halving, __call__=lambda o, x: Schedule.of([1, 2])), "must end at the latent"),
        (broken(Halving, __call__=lambda o, x: Schedule.of([9, x])), "run coarse to fine"),
        (broken(Halving, __call__=lambda o, x: [1, x]), "must return a Schedule"),
        (broken(Halving, __call__=lambda o, x: Schedule.of([(1.0, 1.0), x])), "must be int"),
    ],
    "guidance": [
        (broken(Unguided, weight=lambda o, s, n: torch.inf), "weight(0, 1) must be a finite"),
        (broken(Unguided, mix=lambda o, c, n, w: n), "weight 0 must mean the conditional"),
        (broken(Unguided, mix=lambda o, c, n, w: c.mul_(1 + w)), "leave the logits"),
        (broken(Unguided, mix=lambda o, c, n, w: c.sum(-1)), SIZE),
    ],
    "sampler": [
        (broken(Drawn, __call__=lambda o, x, *a: x), "must return a Draw"),
        (broken(Drawn, __call__=lambda o, x, *a: o(x.mul_(2), *a)), "leave the logits"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmax(-1).int())), "must be int64"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmax(-1) + 8)), "lie in [0, 8)"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmax(-1).flatten())), SIZE),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(torch.rand_like(x).argmax(-1))), "`random`"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmin(-1))), "far above all others"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmax(-1), x)), "not be negative"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmax(-1), x.exp())), "sum to 1"),
    ],
    "quantizer": [
        (broken(Codebook, forward=lambda o, x: o(x).codes), "must return Quantized"),
        (broken(Codebook, forward=lambda o, x: replace(o(x), vectors=x)), "no gradient may pass"),
        (broken(Codebook, forward=lambda o, x: replace(o(x), codes=o(x).codes * 0)), "embed must"),
        (broken(Codebook, mix=lambda o, w: o(w.roll(1, -1))), "mix under weights"),
        (broken(Codebook, loss=lambda o, f, a: (f - a) ** 2), SIZE),
        (broken(Codebook, loss=lambda o, f, a: f[:, 0].sum()), "depend on the layout"),
        (with_space(lambda o, *a: o(*a).mean()), SIZE),
        (with_space(lambda o, x, c, s: o(-x, c, s)), "less loss than wrong"),
        (with_space(lambda o, x, c, s: o(x, c, 0)), "smoothing must raise"),
    ],
    "tokenizer": [
        (broken(Patches, latent_grid=lambda o, s: s), "but the schedule ends at (2, 4)"),
        (broken(Patches, encode=lambda o, *a: o(*a)[:2]), "3 scales need as many codes"),
        (broken(Patches, encode=lambda o, *a: o(*a)[::-1]), "codes of scale 0 must"),
        (broken(Patches, next_input=lambda o, f, k, s: o(f, 0, s)), "the input of scale 1 must"),
        (broken(Patches, accumulate=lambda o, *a: o(*a)[:1]), "accumulated latent must have"),
        (broken(Patches, decode=lambda o, f: o(f) + 2), "clamped to [-1, 1]"),
        (broken(Patches, forward=lambda o, *a: replace(o(*a), losses={"vq": torch.ones(2)})), "'vq'"),
        (broken(Patches, forward=lambda o, *a: cut(o(*a))), "the first parameter, encoder.weight"),
    ],
    "conditioner": [
        (broken(Names, takes="sound"), "takes must be 'label' or 'caption'"),
        (Letters, "choices must be a list of str"),
        (broken(Names, parse=lambda o, v: o(v)[:1]), "a parsed batch must have shape"),
        (broken(Names, forward=lambda o, b: o(b).vector), "must return a Condition"),
        (broken(Names, null=lambda o, n: o(1)), "a null batch must have shape (3,)"),
        (broken(Names, null=lambda o, n: o(n).float()), "must have the dtype"),
        (broken(Names, drop=lambda o, b, d: o(b, ~d)), "drop must put the null condition"),
        (broken(Names, drop=lambda o, b, d: b.masked_fill_(d, 26)), "drop must leave the batch"),
    ],
    "transformer": [
        (broken(OneLayer, forward=lambda o, *a: o(*a)[:, 1:]), "teacher-forced logits must have"),
        (broken(OneLayer, forward=lambda o, *a: o(*a[:3], unmasked)), "the cached step of scale 0"),
        (broken(OneLayer, session=LastSample), "scale 1 of a narrowed session"),
        (
            broken(OneLayer, session=broken(OneLayerSession, step=lambda o, x: o(x)[:, :1])),
            "the cached step of scale 1 must equal the teacher-forced logits must have shape",
        ),
    ],
    "attention": [
        (broken(Dense, unsupported=lambda o, r: False), "must return a list of sentences"),
        (
            broken(Dense, __call__=lambda o, *a, scale, **n: o(*a, scale=0.25, **n)),
            "must equal softmax(scale q k^T + mask) v",
        ),
        (
            broken(Dense, prepare=lambda o, r: MaskSpec.full(r.mask.q_len, r.mask.kv_len)),
            "attention (scale-causal, float32) must equal",
        ),
        (broken(Dense, __call__=lambda o, *a, **n: o(*a, **n).double()), "must return torch.float"),
        (
            broken(Dense, __call__=lambda o, q, k, v, **n: o(q, k.detach() + 0 * k, v, **n)),
            "the gradient of k in attention",
        ),
        (broken(Dense, unsupported=lambda o, r: []), "dropout must be applied"),
    ],
    "cache": [
        (broken(KeepAll, lossless=None), "lossless must be True or False"),
        (broken(EveryOther, lossless=True), "as if every key and value were kept"),
        (broken(KeepAll, state=object), "must return a CacheState"),
        (Leaking, "must not see what an earlier one has kept"),
        (stateful(KeepAll, nbytes=lambda o: 0), "nbytes must count all tensors"),
        (broken(KeepAll, state=NarrowedViews), "nbytes must count all tensors"),
        (broken(KeepAll, state=AttendsToOneQuery), "the output of attend"),
        (stateful(KeepAll, append=lambda o, *a: [x[..., :2] for x in o(*a)]), "keys to attend to"),
        (stateful(KeepAll, restore=lambda o, *a: o(*a) * 0), "return an output of all tokens"),
        (stateful(EveryOther, select=lambda o, *a: torch.zeros(4, 2).long()), "distinct"),
        (stateful(EveryOther, select=lambda o, *a: torch.zeros(2, 4)), "indices [B, m]"),
        (
            stateful(EveryOther, restore=lambda o, *a: o(*a).flip(1) if a[2] else o(*a)),
            "the computed tokens in their places",
        ),
    ],
    "dataset": [
        (broken(Squares, __len__=lambda o: 0), "at least one example"),
        (broken(Squares, classes=("dark", "light")), "classes must be a list of str"),
        (broken(Squares, classes=["dark"]), "label 1 must be the index of one of 1 classes"),
        (broken(Squares, __getitem__=lambda o, i: o(i).image), "must be an Example"),
        (
            broken(Squares, __getitem__=lambda o, i: Example(o(i).image.convert("L"))),
            "images must be RGB, not L",
        ),
        (
            broken(Squares, __getitem__=lambda o, i: replace(o(i), caption=str(random()))),
            "must always give the same example",
        ),
    ],
    "discriminator": [
        (lambda: Difference(), "must be a torch.nn.Module"),
        (broken(Colours, forward=lambda o, a: o(a)[:2]), "logits must have shape (3, 64, 64)"),
        (broken(Colours, forward=lambda o, a: o(a).mean()), "logits must have shape (3,)"),
        (broken(Colours, forward=lambda o, a: o(a.detach())), "gradients must reach the images"),
        (broken(Colours, forward=lambda o, a: o(a) - o(a).mean()), "must not depend on the others"),
        (lambda: Colours(torch.nn.BatchNorm2d(3)), "in training mode, too, an image's logits must not"),
        (lambda: Colours().requires_grad_(False), "must have parameters that are trained"),
        (lambda: Colours(unused=torch.nn.Parameter(torch.ones(2))), "gradients must reach every parameter"),
    ],
    "feature": [
        (lambda: Difference(), "must be a torch.nn.Module"),
        (lambda: Edges().train(), "must be built in evaluation mode"),
        (lambda: Edges().requires_grad_(), "must be frozen"),
        (broken(Edges, label=""), "label must be a name"),
        (broken(Edges, distance=lambda o, a, b: o(a, b).mean()), "distance must have shape (3,)"),
        (broken(Edges, distance=lambda o, a, b: o(a, b) + 1), "the distance of equal images must be 0"),
        (broken(Edges, distance=lambda o, a, b: 0 * o(a, b)), "of different images must be above 0"),
        (broken(Edges, pooled=lambda o, a: o(a) / len(a)), "must not depend on the batch"),
        (broken(Edges, pooled=lambda o, a: a.flatten(1)), "must have one width"),
    ],
    "metric": [
        (broken(Difference, takes="pictures"), "takes='pictures' must be"),
        (broken(Difference, compute=lambda o: o()["l1"]), "must return floats by name"),
        (broken(Difference, compute=lambda o: {"l1": torch.nan}), "how the images are batched"),
        (
            broken(Difference, update=lambda o, a, b: o(a[:1], b[:1])),
            "l1 must not depend on how the images are batched",
        ),
    ],
    "logger": [
        (broken(Rows, log=lambda o, step, values: values.clear()), "must leave the numbers"),
        (broken(Rows, picture=lambda o, step, image: image.mul_(255)), "must leave the image"),
    ],
}


@pytest.mark.parametrize(
    ("kind", "make", "rule"),
    [(kind, make, rule) for kind, cases in BROKEN.items() for make, rule in cases],
)
def test_a_broken_rule_is_named(kind, make, rule):
    with pytest.raises(AssertionError, match=re.escape(rule)):
        CHECKS[kind](make())


def test_every_check_is_tried_on_a_good_and_a_broken_component():
    checks = {name.removeprefix("check_") for name in testing.__all__ if name.startswith("check_")}
    assert checks - {"component"} == {kind for kind, _ in GOOD} == BROKEN.keys() == CHECKS.keys()


def test_a_check_leaves_the_mode_of_a_module_as_it_was():
    tokenizer = Patches().train()
    CHECKS["tokenizer"](tokenizer)
    assert tokenizer.training
    assert tokenizer.encoder.weight.grad is None


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (broken(Dense, unavailable=lambda o: "no CUDA device"), "not checked: no CUDA device"),
        (broken(Dense, unsupported=lambda o, r: ["only int8"]), "refuses all on cpu: only int8"),
    ],
)
def test_attention_that_cannot_be_checked_does_not_pass_in_silence(backend, reason):
    with pytest.raises(Unsupported, match=reason):
        testing.check_attention(backend())


def test_attention_is_checked_on_what_it_serves():
    refusing = broken(
        Dense,
        unsupported=lambda o, r: o(r) + ["no gradients"] * r.needs_grad,
        __call__=lambda o, q, *a, **n: o(q.detach(), *a, **n),
    )
    testing.check_attention(refusing())


def test_dense_attend_is_torchs_attention():
    q, k, v = torch.randn(3, 2, 13, 2, 4)
    mask = MaskSpec.scale_causal(SCHEDULE)
    bhsd = (x.transpose(1, 2) for x in (q, k, v))
    expected = F.scaled_dot_product_attention(*bhsd, attn_mask=mask.dense(), scale=0.7)
    actual = dense_attend(q, k, v, mask=mask, scale=0.7)
    torch.testing.assert_close(actual, expected.transpose(1, 2))
    with pytest.raises(ValueError, match="no dropout"):
        dense_attend(q, k, v, mask=mask, scale=0.7, dropout=0.1)


@dataclass(kw_only=True)
class Helpless:
    scale: float = 1.0


@pytest.fixture
def registry(monkeypatch):
    module = ModuleType("acme_tiny")
    module.Helpless = Helpless
    for kind, make in GOOD:
        setattr(module, kind, make)
    module.conditioner = lambda width, classes: Names(width)
    module.dataset = lambda split: Squares()
    monkeypatch.setitem(sys.modules, "acme_tiny", module)
    registry = Registry()
    registry.add(
        [
            ComponentSpec(kind=kind, name="tiny", target=f"acme_tiny:{kind}", summary="tiny")
            for kind in CHECKS
        ],
        "acme",
    )
    return registry


BY_NAME = sorted(CHECKS.keys() - {"tokenizer", "transformer", "logger"})


@pytest.mark.parametrize("kind", BY_NAME)
def test_a_component_is_checked_by_its_name(kind, registry):
    testing.check_component(registry, kind, "tiny")


@pytest.mark.parametrize("kind", BY_NAME)
def test_a_broken_component_is_found_by_its_name(kind, registry, monkeypatch):
    make, _ = BROKEN[kind][-1]
    monkeypatch.setattr(sys.modules["acme_tiny"], kind, lambda **runtime: make())
    with pytest.raises(AssertionError):
        testing.check_component(registry, kind, "tiny")


@pytest.mark.parametrize("kind", ["tokenizer", "transformer"])
def test_a_kind_that_needs_sizes_is_not_checked_by_its_name(kind, registry):
    with pytest.raises(Unsupported, match=f"{kind} 'tiny' cannot be checked by its name alone"):
        testing.check_component(registry, kind, "tiny")


def test_a_component_that_cannot_be_built_is_no_broken_rule(registry):
    with pytest.raises(VartkError, match="unknown sampler 'tin'"):
        testing.check_component(registry, "sampler", "tin")


def test_parameters_need_help(registry):
    spec = ComponentSpec(
        kind="guidance",
        name="helpless",
        target="acme_tiny:guidance",
        config="acme_tiny:Helpless",
        summary="s",
    )
    registry.add([spec], "acme")
    with pytest.raises(AssertionError, match="parameter 'scale' has no help"):
        testing.check_component(registry, "guidance", "helpless")
