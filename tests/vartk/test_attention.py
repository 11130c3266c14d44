import logging
import sys
import types

import pytest
import torch

from vartk.components import plugins
from vartk.config import Slot
from vartk.engine.attention import build_attention
from vartk_registry import ComponentSpec, MaskSpec, MissingRequirement, Registry, Unsupported
from vartk_registry.interfaces import Schedule


class Plain:
    """A backend that serves full masks in float32 alone, and counts its plans."""

    why_not = ""
    made: list = []  # noqa: RUF012

    def unavailable(self):
        return self.why_not

    def unsupported(self, request):
        reasons = []
        if not request.mask.is_full:
            reasons.append("it takes no mask")
        if request.dtype != "float32":
            reasons.append(f"it does not compute in {request.dtype}")
        if request.needs_grad:
            reasons.append("it has no backward pass")
        return reasons

    def prepare(self, request):
        self.made.append(request)
        return "the plan"

    def __call__(self, q, k, v, *, scale, plan, dropout):
        assert plan == "the plan"
        weights = (torch.einsum("bshd,bthd->bhst", q, k) * scale).softmax(-1)
        return torch.einsum("bhst,bthd->bshd", weights, v)


class Absent(Plain):
    why_not = "there is no such chip"


@pytest.fixture
def registry(monkeypatch):
    module = types.ModuleType("plain_backends")
    module.Plain, module.Absent = Plain, Absent
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(Plain, "made", [])
    registry = Registry()
    registry.add(plugins().registry.specs("attention"), "vartk")
    return registry


def add(registry, name, target, **extra):
    spec = ComponentSpec(
        kind="attention", name=name, target=f"plain_backends:{target}", summary="a test", **extra
    )
    registry.add([spec], "somebody")


def qkv(q_len=3, kv_len=5, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    lengths = (q_len, kv_len, kv_len)
    return [torch.randn(2, n, 2, 4, generator=generator).to(dtype) for n in lengths]


def attention(q, k, v, attend, mask=None):
    return attend(q, k, v, mask=mask or MaskSpec.full(q.shape[1], k.shape[1]), scale=0.7)


def test_a_named_backend_that_cannot_serve_gives_all_its_reasons(registry):
    add(registry, "flex", "Plain")
    attend = build_attention(Slot(name="flex"), registry)
    with pytest.raises(Unsupported) as caught:
        attention(*qkv(7, 7, torch.float64), attend, MaskSpec.scale_causal(Schedule.of([1, (2, 3)])))
    assert "flex (it takes no mask, it does not compute in float64)" in str(caught.value)
    assert "float64 on cpu, 2 heads of 4, 7 x 7 tokens" in str(caught.value)


def test_a_named_backend_that_is_not_available_says_why(registry):
    add(registry, "flash", "Absent")
    with pytest.raises(Unsupported, match=r"flash \(there is no such chip\)"):
        attention(*qkv(), build_attention(Slot(name="flash"), registry))


def test_a_named_backend_whose_library_is_missing_says_how_to_install_it(registry):
    add(registry, "xformers", "Plain", requires=("no_such_library",), install_hint="pip install it")
    with pytest.raises(MissingRequirement, match=r"needs no_such_library; pip install it"):
        build_attention(Slot(name="xformers"), registry)


def test_auto_passes_over_what_cannot_serve_and_says_so_once(registry, caplog):
    add(registry, "flash", "Absent")
    add(registry, "xformers", "Plain", requires=("no_such_library",))
    add(registry, "flex", "Plain")
    mask = MaskSpec.scale_causal(Schedule.of([1, (2, 3)]))
    expected = attention(*qkv(7, 7), build_attention(Slot(name="eager"), registry), mask)
    with caplog.at_level(logging.INFO, "vartk"):
        for _ in range(2):
            made = attention(*qkv(7, 7), build_attention(Slot(name="auto"), registry), mask)
    assert torch.allclose(made, expected, atol=1e-6)
    [record] = caplog.records
    text = record.getMessage()
    assert text.startswith("attention: sdpa serves")
    for reason in ("flash (there is no such chip)", "no_such_library", "flex (it takes no mask)"):
        assert reason in text


def test_auto_takes_the_first_of_its_priority_that_serves(registry):
    add(registry, "flex", "Plain")
    attend = build_attention(Slot(name="auto"), registry)
    q, k, v = qkv()
    expected = attention(q, k, v, build_attention(Slot(name="eager"), registry))
    assert torch.allclose(attention(q, k, v, attend), expected, atol=1e-6)
    assert len(Plain.made) == 1


def test_plans_are_kept_by_the_request(registry):
    add(registry, "flex", "Plain")
    attend = build_attention(Slot(name="flex"), registry)
    for _ in range(3):
        attention(*qkv(), attend)
    attention(*qkv(3, 6), attend)
    assert [(r.mask.q_len, r.mask.kv_len) for r in Plain.made] == [(3, 5), (3, 6)]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_gradients_to_any_of_q_k_v_are_part_of_the_request(registry, which):
    add(registry, "flex", "Plain")
    attend = build_attention(Slot(name="auto"), registry)
    inputs = qkv()
    inputs[which].requires_grad_()
    attention(*inputs, attend).sum().backward()
    assert Plain.made == []  # it has no backward pass
    with torch.no_grad():
        attention(*inputs, attend)
    assert len(Plain.made) == 1
