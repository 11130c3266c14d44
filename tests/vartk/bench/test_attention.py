"""vartk bench attention: workloads, what is counted, what is wrong or refused, and the picture."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import torch

from vartk.bench.attention import measure, peak
from vartk.bench.attention.measure import Calls, disagreement, extra_memory, flops, traffic
from vartk.bench.attention.workload import read_cases, shipped
from vartk.components import plugins
from vartk_registry.testing import dense_attend

CPU = torch.device("cpu")
TINY = """
schedule: {name: custom, grids: [1, 2, 4]}
latent: [4, 4]
width: 32
head_dims: [16]
dtypes: [fp32]
batches: [2]
steps: [1]
"""
ODD = """
from vartk_registry import ComponentSpec, hookimpl


class Odd:
    def __init__(self, *, what):
        self.what = what

    def unavailable(self):
        return "it needs a blue moon" if self.what == "absent" else ""

    def unsupported(self, request):
        return ["it is shy", "it is Monday"] if self.what == "shy" else []

    def prepare(self, request):
        return None

    def __call__(self, q, k, v, *, scale, plan, dropout):
        if self.what == "broken":
            raise RuntimeError("no kernel image\\nmore about it")
        return v.mean(1, keepdim=True).expand_as(q) + 0 * (q.sum() + k.sum())


def mean():
    return Odd(what="mean")


def broken():
    return Odd(what="broken")


def shy():
    return Odd(what="shy")


def absent():
    return Odd(what="absent")


@hookimpl
def vartk_components():
    made = [
        ComponentSpec(kind="attention", name=name, target=f"acme_odd:{name}", summary="odd")
        for name in ("mean", "broken", "shy", "absent")
    ]
    unmet = ComponentSpec(
        kind="attention",
        name="unmet",
        target="acme_odd:mean",
        summary="odd",
        requires=("acme_lib",),
        install_hint="pip install acme",
    )
    return [*made, unmet]
"""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def workload(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def _quick(monkeypatch):
    """Leave out the processes that measure memory, and the machine's peaks: seconds."""
    monkeypatch.setattr(measure, "extra_memory", lambda *arguments: 3 * 2**20)
    monkeypatch.setattr(measure, "matmul_peak", lambda dtype, device: 1e11)
    monkeypatch.setattr(measure, "memory_bandwidth", lambda device: 2e10)


def cases_of(path):
    return read_cases([str(path)], plugins().registry)


def backend(name):
    return plugins().registry.build("attention", name, {})


def test_the_cases_of_a_workload(workload):
    forward, both, step = cases_of(workload)
    assert [case.what for case in (forward, both, step)] == ["forward", "forward + backward", "forward"]
    assert forward.mask.pairs() == 1 * 1 + 4 * 5 + 16 * 21  # each scale sees itself and those before
    assert (step.mask.q_len, step.mask.kv_len, step.tokens) == (4, 5, 21)
    assert (forward.heads, forward.head_dim, forward.batch) == (2, 16, 2)
    assert str(step) == "tiny step 1, forward, fp32, batch 2, 2 x 16"


@pytest.mark.parametrize(("name", "tokens"), [("var-256", 680), ("var-512", 2240), ("var-1024", 9451)])
def test_workloads_that_come_with_vartk(name, tokens):
    cases = read_cases([name], plugins().registry)
    training = [case for case in cases if case.shape == "training"]
    assert {case.mask.q_len for case in training} == {tokens}
    assert {case.backward for case in training} == {True, False}
    assert {case.head_dim for case in cases} == {64, 128}
    assert max(case.mask.kv_len for case in cases if case.shape != "training") == tokens
    assert name in shipped()


def test_dtypes_replace_the_files_own(workload):
    cases = read_cases([str(workload)], plugins().registry, ["bf16", "fp16"])
    assert [case.dtype for case in cases] == ["bf16"] * 3 + ["fp16"] * 3


def test_flops_and_traffic_by_hand(workload):
    forward, both, step = cases_of(workload)
    assert flops(forward) == 4 * 16 * 357 * 2 * 2
    assert flops(both) == 3.5 * flops(forward)
    assert flops(step) == 4 * 16 * (4 * 5) * 2 * 2
    row = 2 * 2 * 16 * 4  # bytes of a token: batch, heads, head dim, fp32
    assert traffic(step) == (4 + 5 + 5 + 4) * row
    assert traffic(forward) == 4 * 21 * row
    assert traffic(both) == (4 + 8) * 21 * row
    assert traffic(replace(step, dtype="bf16")) == traffic(step) / 2


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_oracle_in_parts_is_dense_attention(workload, monkeypatch, index):
    monkeypatch.setattr(measure, "_SCORES_AT_ONCE", 3 * 2 * 2 * 21)  # three queries at a time
    case = cases_of(workload)[index]
    calls = Calls(backend("sdpa"), case, CPU)
    q, k, v = (x.detach().requires_grad_() for x in calls.qkv)
    out = dense_attend(q, k, v, mask=case.mask, scale=calls.scale)
    expected = [out.detach()]
    if case.backward:
        expected += torch.autograd.grad(out, (q, k, v), calls.grad_BSHD)
    for actual in (calls.expected(backend("eager")), calls()):
        assert len(actual) == len(expected)
        for found, wanted in zip(actual, expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_mask_that_is_ignored_is_wrong(workload):
    """The random scores are uneven enough that attention to all keys differs by far."""
    case = replace(cases_of(workload)[0], dtype="bf16")
    calls = Calls(backend("sdpa"), case, CPU)
    expected = calls.expected(backend("eager"))
    assert disagreement(calls(), expected, "bf16") == ""
    unmasked = dense_attend(*calls.qkv, mask=type(case.mask).full(21, 21), scale=calls.scale)
    wrong = disagreement([unmasked], expected, "bf16")
    assert wrong.startswith("the output is off by ")
    assert wrong.endswith("of its largest value, 0.04 is allowed")
    assert disagreement([expected[0] * float("nan")], expected, "bf16")


def test_the_memory_of_a_call(workload):
    """In real processes: eager attention holds all its weights, 4 x 4 x 1024 x 1024 of four bytes."""
    case = replace(cases_of(workload)[0], heads=4, batch=4, tokens=1024)
    case = replace(case, mask=type(case.mask).full(1024, 1024))
    assert 60 * 2**20 < extra_memory("eager", case, CPU) < 2**30


def test_the_machines_peaks(monkeypatch):
    monkeypatch.setattr(peak, "_SIDES", (64, 128))
    monkeypatch.setattr(peak, "_COPIED", 2**20)
    assert 1e7 < peak.matmul_peak(torch.float32, CPU) < 1e14
    assert 1e7 < peak.memory_bandwidth(CPU) < 1e14


@pytest.mark.usefixtures("_quick")
def test_bench_attention(vartk, workload, tmp_path):
    page, picture = tmp_path / "results" / "tiny.md", tmp_path / "tiny.svg"
    words = ("--backends", "eager,sdpa", "--dtypes", "fp32,bf16", "--repeats", 2)
    ran = vartk("bench", "attention", workload, *words, "--out", page, "--plot", picture, "--json")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    assert result["command"] == (
        f"vartk bench attention {workload} --backends eager,sdpa --dtypes fp32,bf16 --repeats 2 --device cpu"
    )
    assert result["peak_flops"] == {"fp32": 1e11, "bf16": 1e11}
    rows = result["rows"]
    assert [row["backend"] for row in rows] == ["eager", "sdpa"] * 6
    for row in rows:
        seconds, case = row["seconds"], row["case"]
        assert 0 < seconds["low"] <= seconds["median"] <= seconds["high"]
        assert row["flops_per_second"] == pytest.approx(case["flops"] / seconds["median"])
        assert row["peak_share"] == pytest.approx(row["flops_per_second"] / 1e11)
    assert rows[0]["case"]["pairs"] == 357
    text = page.read_text()
    assert result["command"] in text
    assert "| tiny training | forward + backward | bf16 | 2 | 2 x 16 | sdpa | " in text
    assert "| copying memory | 20 GB/s |" in text
    assert "| torch | " in text
    assert "bench attention 38/38 the machine's peaks once more" in ran.err
    drawn = ElementTree.parse(picture)
    titles = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert sum("TFLOP/s" in title for title in titles) == len(rows)
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Roofline, fp32", "Roofline, bf16", "matrix products: 0.1 TFLOP/s"} <= set(texts)


@pytest.mark.usefixtures("_quick")
def test_what_is_wrong_refused_broken_or_absent_is_told(vartk, install, workload, tmp_path):
    install("acme_odd", ODD)
    picture = tmp_path / "odd.svg"
    words = ("--backends", "sdpa,mean,broken,shy,absent,unmet", "--repeats", 1, "--plot", picture)
    ran = vartk("bench", "attention", workload, *words, "--json")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    assert result["absent"]["absent"] == "it needs a blue moon"
    assert result["absent"]["unmet"].endswith("needs acme_lib; pip install acme")
    sdpa, mean, broken, shy = result["rows"][:4]
    assert sdpa["seconds"]
    assert mean["wrong"].startswith("the output is off by ")
    assert broken["refused"] == "RuntimeError: no kernel image"
    assert shy["refused"] == "it is shy; it is Monday"
    assert not any("seconds" in row for row in (mean, broken, shy))
    assert "bench attention 38/38" in ran.err
    drawn = picture.read_text()
    assert drawn.count("wrong result") == drawn.count("does not run here") / 2 == 3
    shown = vartk("bench", "attention", workload, *words[:4]).out
    assert "not here: it is shy; it is Monday" in shown
    assert "wrong: the output is off by" in shown
    assert "Backends that do not run here" in shown


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width: 32", "widht: 32", "unknown parameter 'widht'; did you mean 'width'?"),
        ("width: 32", "", "width must be given: channels of a token"),
        ("width: 32", "width: wide", "width='wide' must be a whole number"),
        ("width: 32", "width: 40", "head_dims: width=40 is no multiple of 16"),
        ("[fp32]", "[fp64]", "dtypes[0]='fp64'"),
        ("[fp32]", "[]", "dtypes is empty"),
        ("batches: [2]", "batches: [0]", "batches[0]=0 is out of range"),
        ("steps: [1]", "steps: [3]", "steps holds 3, but the last scale is 2"),
        ("steps: [1]", "training: false", "nothing is to be measured"),
        ("latent: [4, 4]", "latent: [4]", "latent=[4] must be [height, width]"),
        ("latent: [4, 4]", "latent: [8, 8]", "schedule: schedule 'custom' ends at 4x4"),
        ("name: custom", "name: costum", "schedule: unknown schedule 'costum'; did you mean 'custom'?"),
        ("{name: custom, grids: [1, 2, 4]}", "7", "schedule=7 must be a name"),
        ("width: 32", "width: [", "is not a valid YAML configuration"),
    ],
)
def test_a_wrong_workload_file(refused, workload, old, new, message):
    workload.write_text(TINY.replace(old, new))
    told = refused("bench", "attention", workload)
    assert str(workload) in told
    assert message in told


def test_wrong_arguments(refused, workload, tmp_path):
    (tmp_path / "old.svg").write_text("kept")
    for words, message in (
        (("var-265",), "no workload 'var-265'"),
        ((workload, "--backends", "spda"), "unknown attention backend 'spda'; did you mean 'sdpa'?"),
        ((workload, "--backends", ","), "no attention backend is named"),
        ((workload, "--dtypes", "fp32,bf61"), "unknown dtype 'bf61'; did you mean 'bf16'?"),
        ((workload, "--plot", tmp_path / "old.svg"), "exists and is not overwritten"),
        ((workload, "--device", "cuda:99"), "cannot be used here"),
        ((workload, "--repeats", "0"), "not a whole number from 1"),
    ):
        assert message in refused("bench", "attention", *words)
    assert (tmp_path / "old.svg").read_text() == "kept"
