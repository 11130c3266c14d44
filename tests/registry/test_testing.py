"""The conformance kit: tiny components that follow the interfaces pass, each broken rule is named."""

import re
import sys
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from broken import BROKEN, broken
from keeping import KeepAll
from omegaconf import MISSING
from smallest import (
    GOOD,
    SCHEDULE,
    WEIGHTS,
    Dense,
    Greys,
    Names,
    OneLayer,
    Patches,
    Rows,
    Squares,
    Unguided,
)
from torch.nn import functional as F

from vartk_registry import KINDS, ComponentSpec, MaskSpec, Registry, Unsupported, VartkError, param, testing
from vartk_registry.interfaces import Condition
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
    "generator": lambda component: testing.check_generator(component, (16, 16)),
    "dataset": testing.check_dataset,
    "feature": testing.check_feature,
    "discriminator": testing.check_discriminator,
    "metric": testing.check_metric,
    "logger": testing.check_logger,
    "importer": lambda component: testing.check_importer(component, *WEIGHTS),
}


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(("kind", "make"), GOOD)
def test_components_that_follow_the_interface_pass(kind, make):
    CHECKS[kind](make())


@pytest.mark.parametrize(
    ("kind", "make", "rule"),
    [(kind, make, rule) for kind, cases in BROKEN.items() for make, rule in cases],
)
def test_a_broken_rule_is_named(kind, make, rule):
    with pytest.raises(AssertionError, match=re.escape(rule)):
        CHECKS[kind](make())


def test_every_check_is_tried_on_a_good_and_a_broken_component():
    checks = {name.removeprefix("check_") for name in testing.__all__ if name.startswith("check_")}
    assert (
        checks - {"component"} == {kind for kind, _ in GOOD} == BROKEN.keys() == CHECKS.keys() == KINDS.keys()
    )


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


@dataclass(kw_only=True)
class Strength:
    strength: float = param(MISSING, "has no default")


class Strong(Unguided):
    def __init__(self, strength):
        assert strength == 2.0


@pytest.fixture
def registry(monkeypatch):
    module = ModuleType("acme_tiny")
    module.Helpless, module.Strength, module.Strong = Helpless, Strength, Strong
    for kind, make in GOOD:
        setattr(module, kind, make)
    module.tokenizer = lambda quantizer: Patches()
    module.transformer = lambda schedule, space, channels: OneLayer(space, channels)
    module.conditioner = lambda width, classes: Names(width)
    module.generator = lambda classes, image_size, tokenizer: Greys()
    module.dataset = lambda split: Squares()
    module.logger = lambda folder, config, step: Rows()
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_is_checked_by_its_name(kind, registry):
    testing.check_component(registry, kind, "tiny")


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_component_is_found_by_its_name(kind, registry, monkeypatch):
    """The last broken one of a kind; it may need no more than the kit has."""
    make, _ = BROKEN[kind][-1]
    monkeypatch.setattr(sys.modules["acme_tiny"], kind, lambda **runtime: make())
    with pytest.raises(AssertionError):
        testing.check_component(registry, kind, "tiny")


def test_a_component_is_checked_with_the_parameters_of_its_spec(registry):
    spec = ComponentSpec(
        kind="guidance",
        name="strong",
        target="acme_tiny:Strong",
        config="acme_tiny:Strength",
        summary="s",
        check_with={"strength": 2.0},
    )
    registry.add([spec], "acme")
    testing.check_component(registry, "guidance", "strong")
    with pytest.raises(VartkError, match="strength must be given"):
        registry.build("guidance", "strong", {})


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
