import logging
import re
import sys
import types
from pathlib import Path

import pytest
import torch
from tiny import tiny_model

from vartk.components import plugins
from vartk.config import Slot
from vartk.engine.attention import Attention, build_attention
from vartk.environment import environment
from vartk_registry import ComponentSpec, MaskSpec, MissingRequirement, Registry, Unsupported
from vartk_registry.interfaces import AttentionRequest, Schedule
from vartk_registry.testing import TOLERANCES, dense_attend


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


class Flash(Plain):
    pass


class Xformers(Plain):
    def unsupported(self, request):
        return []


class Flex(Plain):
    pass


@pytest.fixture
def registry(monkeypatch):
    module = types.ModuleType("plain_backends")
    for backend in (Plain, Absent, Flash, Xformers, Flex):
        setattr(module, backend.__name__, backend)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(Plain, "made", [])
    registry = Registry()
    found = plugins().registry
    registry.add([found.find("attention", name) for name in ("eager", "sdpa")], "vartk")
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


MASKED = MaskSpec.scale_causal(Schedule.of([1, (2, 3)]))


def request(mask=None, device="cuda", **changes):
    """A request of `auto` for a device that need not be there: choosing takes no tensors."""
    mask = mask or MaskSpec.full(3, 5)
    return AttentionRequest(mask, heads=2, head_dim=4, dtype="float32", device=device, **changes)


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
    add(registry, "xformers", "Plain")
    with caplog.at_level(logging.INFO, "vartk"):
        for _ in range(2):
            chosen = build_attention(Slot(name="auto"), registry).choose(request(MASKED))
    assert type(chosen).__name__ == "SdpaAttention"
    [record] = caplog.records
    assert record.getMessage() == (
        "attention: sdpa serves; passed over flash (there is no such chip); xformers (it takes no mask)"
    )


def test_auto_passes_over_what_is_not_installed(registry, caplog):
    add(registry, "flash", "Plain", requires=("no_such_library",), install_hint="pip install it")
    add(registry, "xformers", "Plain")
    with caplog.at_level(logging.INFO, "vartk"):
        assert isinstance(build_attention(Slot(name="auto"), registry).choose(request()), Plain)
    [record] = caplog.records
    reason = "passed over flash (attention 'flash' needs no_such_library; pip install it)"
    assert reason in record.getMessage()


def test_auto_has_an_order_for_each_device(registry, caplog):
    for name in ("flash", "xformers", "flex"):
        add(registry, name, name.title())
    attend = build_attention(Slot(name="auto"), registry)
    for changes, chosen in (
        ({"device": "cuda"}, "Flash"),
        ({"device": "cuda", "needs_grad": True}, "Xformers"),
        ({"device": "cuda", "mask": MASKED, "needs_grad": True}, "SdpaAttention"),  # these two take no mask
        ({"device": "cpu"}, "SdpaAttention"),
        ({"device": "mps"}, "SdpaAttention"),
    ):
        assert type(attend.choose(request(**changes))).__name__ == chosen
    with caplog.at_level(logging.INFO, "vartk"):
        attend.choose(request(device="cpu"))
    assert not caplog.records  # there was nothing to pass over


@pytest.mark.parametrize(
    ("absent", "chosen"), [((), "Xformers"), (("flash",), "Xformers"), (("flash", "flex"), "SdpaAttention")]
)
def test_training_on_cuda_takes_the_mask_in_one_launch(registry, absent, chosen):
    """Here `Xformers` stands for a backend that takes every request, whatever its name."""
    for name in ("flash", "flex"):
        add(registry, name, "Absent" if name in absent else "Xformers")
    add(registry, "xformers", "Xformers")
    attend = build_attention(Slot(name="auto"), registry)
    assert type(attend.choose(request(MASKED, needs_grad=True))).__name__ == chosen


def test_compiled_it_chooses_as_it_does_elsewhere_and_all_of_it_is_one_graph(registry, caplog):
    """By Dynamo alone, which would trace the backends' choice, and warn of functions that remember."""
    add(registry, "matmul", "Absent")

    def twice(attend, q, k, v):
        schedule = Schedule.of([1, (2, 3)])
        out = attention(q, k, v, attend, MaskSpec.scale_causal(schedule))
        return attention(out, k, v, attend, MaskSpec.scale_causal(schedule, context=0))

    compiled = torch.compile(twice, backend="eager", fullgraph=True)
    with caplog.at_level(logging.INFO, "vartk"):
        for dtype in (torch.float32, torch.float64):
            q, k, v = (x.requires_grad_() for x in qkv(7, 7, dtype))
            expected = twice(build_attention(Slot(name="eager"), registry), q, k, v)
            for _ in range(2):
                made = compiled(build_attention(Slot(name="auto"), registry), q, k, v)
                torch.testing.assert_close(made, expected)
    assert "sdpa serves; passed over matmul (there is no such chip)" in caplog.text


def test_auto_computes_what_the_oracle_does(registry):
    mask = MaskSpec.scale_causal(Schedule.of([1, (2, 3)]))
    expected = attention(*qkv(7, 7), build_attention(Slot(name="eager"), registry), mask)
    made = attention(*qkv(7, 7), build_attention(Slot(name="auto"), registry), mask)
    assert torch.allclose(made, expected, atol=1e-6)


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
    attend = build_attention(Slot(name="flex"), registry)
    inputs = qkv()
    inputs[which].requires_grad_()
    with pytest.raises(Unsupported, match=r"gradients True.*flex \(it has no backward pass\)"):
        attention(*inputs, attend)
    with torch.no_grad():
        attention(*inputs, attend)
    assert len(Plain.made) == 1


def test_the_page_has_every_backend_and_tolerance():
    page = (Path(__file__).parents[2] / "docs" / "attention.md").read_text()
    for name in plugins().registry.names("attention"):
        assert f"\n| `{name}` | " in page
    table = dict(re.findall(r"^\| `(\w+)` \| (\de-\d) \|$", page, re.MULTILINE))
    assert {dtype: float(value) for dtype, value in table.items()} == TOLERANCES


# every registered backend


def test_the_environment_says_of_every_backend_whether_it_is_usable():
    told = dict(environment())
    for name in plugins().registry.names("attention"):
        assert told[f"attention {name}"] == "usable" or "not usable: " in told[f"attention {name}"]
    assert told["attention sdpa"] == told["attention flex"] == "usable"
    if not torch.cuda.is_available():
        for name in ("flash", "xformers"):
            assert re.search("no CUDA device|needs .*pip install ", told[f"attention {name}"])


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def usable_on_cpu(name, wanted):
    """Return the backend by name; the test is skipped with the reasons where it cannot serve."""
    try:
        backend = plugins().registry.build("attention", name, {})
    except MissingRequirement as error:
        pytest.skip(str(error))
    unavailable = backend.unavailable()
    if reasons := [unavailable] if unavailable else backend.unsupported(wanted):
        pytest.skip(f"attention {name}: {'; '.join(reasons)}")
    return Attention({name: backend}, name=name)


def teacher_forced(model, attend, *, backward):
    """Return the logits of the tiny model for its own codes' inputs, and the parameters' gradients."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, model.schedule.total - 1, 8, generator=generator)
    predictor = model.predictor
    with torch.set_grad_enabled(backward):
        condition = predictor.conditioner(torch.tensor([0, 2]))
        logits = predictor.transformer(inputs, condition, model.schedule, attend)
        if not backward:
            return [logits]
        weight = torch.randn(logits.shape, generator=generator)
        grads = torch.autograd.grad((logits * weight).sum(), list(predictor.transformer.parameters()))
    return [logits, *grads]


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("name", plugins().registry.names("attention"))
def test_a_model_computes_the_same_with_every_backend(model, name, backward):
    mask = MaskSpec.scale_causal(model.schedule)
    attend = usable_on_cpu(name, request(mask, device="cpu", needs_grad=backward))
    expected = teacher_forced(model, dense_attend, backward=backward)
    for actual, wanted in zip(teacher_forced(model, attend, backward=backward), expected, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-3, atol=1e-3 * wanted.abs().max().item())


@pytest.mark.parametrize("name", plugins().registry.names("attention"))
def test_a_model_samples_the_same_with_every_backend(model, name):
    usable_on_cpu(name, request(device="cpu"))
    eager = model.sample([0, 1], seed=3, attention="eager")
    made = model.sample([0, 1], seed=3, attention=name)
    assert all(map(torch.equal, made.codes, eager.codes))
    assert torch.allclose(made.images, eager.images, atol=1e-5)
