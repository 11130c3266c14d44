"""vartk bench: rows that compute the same, timed in turns, and what cannot be measured."""

import json
import operator
import os

import pytest
import tiny
import torch

from vartk.bench.flops.count import count_flops
from vartk.bench.memory import Failed, peak_memory
from vartk.bench.report import markdown
from vartk.bench.timing import Spread, in_turns, spread
from vartk.bench.training import measure
from vartk.bench.training.configurations import configurations
from vartk.bench.training.measure import bench_training, check_agreement, two_steps
from vartk.bench.training.report import HEADINGS, report, table
from vartk.bench.training.rows import PLAIN, ROWS, STAGE, Row, choose
from vartk.bench.training.runners import TokenizerRunner, TransformerRunner
from vartk.config import Slot
from vartk.engine.model import Model
from vartk_registry import UnknownName, VartkError

CPU = torch.device("cpu")
MEAN = """
from vartk_registry import ComponentSpec, hookimpl


class Mean:
    def unavailable(self):
        return ""

    def unsupported(self, request):
        return []

    def prepare(self, request):
        return None

    def __call__(self, q, k, v, *, scale, plan, dropout):
        return v.mean(1, keepdim=True).expand_as(q)


@hookimpl
def vartk_components():
    return [ComponentSpec(kind="attention", name="mean", target="acme_mean:Mean", summary="no attention")]
"""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def _memory_unmeasured(monkeypatch):
    """Leave out the process that each row's memory takes, and the products of the machine's peak: seconds."""
    monkeypatch.setattr(measure, "peak_memory", lambda *arguments: 2**30)
    monkeypatch.setattr(measure, "matmul_peak", lambda dtype, device: 1e12)


def rows_of(config, *names):
    rows = choose(names)
    return rows, configurations(str(config), [], rows, 3)


def test_turns_and_their_spread():
    called, told = [], []
    candidates = {name: lambda name=name: called.append(name) for name in "ab"}
    seconds = in_turns(candidates, 3, CPU, told.append)
    assert called == told == list("ababab")
    assert {name: len(measured) for name, measured in seconds.items()} == {"a": 3, "b": 3}
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)


def test_each_row_adds_to_the_one_before(config):
    rows, configs = rows_of(config, "checkpointing", "bf16", "per-scale", "codes", "compile", "matmul")
    assert [row.name for row in rows] == list(ROWS)[:7]
    assert [row.encodes for row in rows] == [True, *[False] * 6]
    made = [configs[row.name].train.transformer for row in rows]
    assert [stage.attention.params.get("dense") for stage in made] == [
        True,
        True,
        False,
        False,
        None,
        False,
        False,
    ]
    assert [stage.attention.name == "matmul" for stage in made] == [row.name == "matmul" for row in rows]
    assert [stage.precision for stage in made] == ["fp32"] * 3 + ["bf16"] * 4
    assert [stage.compile for stage in made] == [row.name == "compile" for row in rows]
    again = [configs[row.name].transformer.params["checkpointing"] for row in rows]
    assert again == [row.name == "checkpointing" for row in rows]
    assert {stage.batch for stage in made} == {3}


def test_rows_for_a_gpu(config):
    """Without one they are made, and refused when they would run."""
    names = ("dense", "dense-compile", "flex", "flex-compile", "auto", "context")
    rows, configs = rows_of(config, *names)
    made = {row.name: configs[row.name] for row in rows}
    settings = {
        name: (made[name].train.transformer.attention, made[name].train.transformer.compile) for name in names
    }
    assert settings == {
        "dense": (Slot(name="sdpa", params={"dense": True}), False),
        "dense-compile": (Slot(name="sdpa", params={"dense": True}), True),
        "flex": (Slot(name="flex"), False),
        "flex-compile": (Slot(name="flex"), True),
        "auto": (Slot(name="auto"), "auto"),
        "context": (Slot(name="auto"), "auto"),
    }
    assert {name for name in names if made[name].transformer.params["context"] == 0} == {"context"}
    assert [row.name for row in rows if not row.alike] == ["context"]
    assert {made[name].train.transformer.precision for name in names} == {"bf16"}


OPPONENT = ("train.tokenizer.adversarial=patch", "train.tokenizer.adversarial.layers=1")


def test_a_tokenizer_is_measured_with_all_that_trains_it():
    config = configurations("demo", [], choose([], "tokenizer"), 2)["plain"].train.tokenizer
    assert (config.adversarial.name, config.perceptual.name) == ("patch", "elite0")
    assert (config.batch, config.adversarial_start) == (2, 0.0)


@pytest.mark.usefixtures("_memory_unmeasured")
def test_bench_train_of_a_tokenizer(vartk, config):
    words = ("--stage", "tokenizer", "--batch", 2, "--repeats", 1, "--json")
    ran = vartk("bench", "train", config, *OPPONENT, *words)
    assert ran.code == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    assert result["stage"] == "tokenizer"
    assert "--stage tokenizer --rows channels_last,bf16 --batch 2" in result["command"]
    assert [row["row"] for row in result["rows"]] == ["plain", "channels_last", "bf16"]
    first, last, bf16 = result["rows"]
    assert last["loss"] == pytest.approx(first["loss"], rel=1e-3)
    assert bf16["loss"] == pytest.approx(first["loss"], rel=0.2)
    parts = count_flops(tiny.tiny_config())["parts"]
    products = sum(part["total"] for part in parts if part["part"] in ("encode", "decode"))
    assert first["flops_per_image"] == pytest.approx(3 * products, rel=0.05)


def test_a_tokenizers_rows_have_their_layout(config):
    rows = choose(["channels_last", "bf16"], "tokenizer")
    configs = configurations(str(config), [*OPPONENT, "train.tokenizer.perceptual=elite0"], rows, 2)
    layouts = []
    for row in rows:
        runner = TokenizerRunner(row, configs[row.name], CPU)
        assert {"adversarial", "discriminator", "perceptual"} < runner.step().keys()
        layouts.append(runner.images.is_contiguous(memory_format=torch.channels_last))
    assert layouts == [False, True, False]  # on a GPU the last one would have it, too


@pytest.mark.usefixtures("_memory_unmeasured")
def test_tokens_and_the_share_of_the_peak(config):
    """The operations by hand, as tests of `vartk bench flops` count them."""
    rows, configs = rows_of(config, "context")
    result = bench_training(rows, configs, repeats=1, device="cpu")
    whole, windowed = result["rows"]
    linear = 2 * (2 * 12 * 32**2 * 21 + 14 * 32**2 + 20 * 8 * 32 + 21 * 32 * 24)
    expected = {"plain": 1 + 4 * 5 + 16 * 21, "context": 1 + 4 * 4 + 16 * 16}  # pairs of query and key
    for row in (whole, windowed):
        flops = 3 * (linear + 4 * 32 * expected[row["row"]] * 2)
        seconds = row["seconds_per_image"]["median"]
        assert row["flops_per_image"] == flops
        assert row["mfu"] == pytest.approx(flops / seconds / 1e12)
        assert row["tokens_per_second"] == pytest.approx(21 / seconds)
    assert windowed["loss"] != whole["loss"]
    text = str(next(table(result)))
    assert f"'{whole['tokens_per_second']:,.0f}', '{whole['mfu']:.1%}'" in text
    assert "1 TFLOP/s, the fastest bf16 product that was measured" in report(result).protocol


def test_classes_are_those_of_the_dataset_where_it_is_here():
    demo = configurations("demo", [], choose([]), 2)["plain"]
    assert len(demo.classes) == 4
    assert configurations("var-d16", [], choose([]), 2)["plain"].classes == []


def test_rows_compute_the_same(config):
    """The loss by a second way; rows share one set of weights, which stays."""
    rows, configs = rows_of(config, "codes", "per-scale", "bf16", "checkpointing")
    runners = {}
    for row in rows:
        runners[row.name] = TransformerRunner(row, configs[row.name], CPU, runners.get("plain"))
    first = runners["plain"]
    before = [parameter.clone() for parameter in first.stage.module.parameters()]
    codes = first.codes.split(first.model.schedule.sizes, dim=1)
    first.stage.module.eval()
    logits = first.model.logits([0, 1, 2], codes)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), first.codes.flatten())
    numbers = {name: runner.numbers() for name, runner in runners.items()}
    assert numbers["plain"]["loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert {"loss_0", "loss_1", "loss_2", "grad_norm"} < numbers["plain"].keys()
    for name, runner in runners.items():
        tolerance = 1e-2 if name in ("bf16", "checkpointing") else 1e-5
        assert numbers[name] == pytest.approx(numbers["plain"], rel=tolerance)
        shared = zip(runner.stage.module.parameters(), first.stage.module.parameters(), strict=True)
        assert all(own is its for own, its in shared)
    after = list(first.stage.module.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["plain", "codes"])
def test_plain_alone_encodes_its_images_in_every_step(config, monkeypatch, name):
    rows, configs = rows_of(config, "codes")
    runner = TransformerRunner(rows[name == "codes"], configs[name], CPU)
    encode, encoded = runner.model.encode, []
    monkeypatch.setattr(runner.model, "encode", lambda images: encoded.append(images) or encode(images))
    for _ in range(2):
        runner.step()
    assert len(encoded) == (2 if name == "plain" else 0)


@pytest.mark.parametrize(("name", "encoded"), [("plain", 3), ("codes", 0)])
def test_memory_is_measured_without_encoding_where_the_row_does_not_encode(
    config, monkeypatch, name, encoded
):
    rows, configs = rows_of(config, "codes")
    calls, encode = [], Model.encode
    monkeypatch.setattr(Model, "encode", lambda model, images: calls.append(1) or encode(model, images))
    two_steps(rows[name == "codes"], configs[name], CPU)
    assert len(calls) == encoded


@pytest.mark.parametrize(
    ("numbers", "wrong"),
    [
        ({"loss": 5.006, "grad_norm": 1.0}, "loss is 5.006 and not 5;"),
        ({"loss": 5.0, "grad_norm": 1.1}, "grad_norm is 1.1 and not 1;"),
        ({"loss": float("nan"), "grad_norm": 1.0}, "loss is nan and not 5;"),
    ],
)
def test_disagreement_is_told(numbers, wrong):
    expected = {"loss": 5.0, "grad_norm": 1.0}
    check_agreement("good", {"loss": 5.004, "grad_norm": 1.0}, expected, 1e-3)
    with pytest.raises(
        VartkError, match=f"row 'bad' does not compute.* relative 0.001: {wrong} nothing was timed"
    ):
        check_agreement("bad", numbers, expected, 1e-3)


@pytest.mark.usefixtures("_memory_unmeasured")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_that_computes_something_else_ends_the_benchmark(
    refused, install, config, monkeypatch, precision
):
    install("acme_mean", MEAN)
    settings = {f"{STAGE}.attention": "mean", f"{STAGE}.precision": precision}
    monkeypatch.setitem(ROWS, "broken", Row("broken", "no attention", settings))
    message = refused("bench", "train", config, "--rows", "broken", "--batch", 3)
    assert "vartk: row 'broken' does not compute what 'plain' does, to " in message
    assert "grad_norm is " in message


def test_the_memory_of_a_row(config):
    """In a real process of its own; a training process holds more than torch alone."""
    (row,), configs = rows_of(config)
    assert 100 * 2**20 < peak_memory(CPU, two_steps, row, configs["plain"], CPU) < 20 * 2**30


@pytest.mark.usefixtures("_memory_unmeasured")
def test_bench_train(vartk, config, tmp_path):
    out = tmp_path / "results" / "tiny.md"
    words = ("--rows", "bf16", "--batch", 3, "--repeats", 2, "--out", out)
    ran = vartk("bench", "train", config, "transformer.depth=1", *words, "--json")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    assert (result["benchmark"], result["batch"], result["repeats"], result["tokens"]) == ("train", 3, 2, 21)
    assert (
        f"bench train {config} transformer.depth=1 --stage transformer --rows bf16 --batch 3"
        in result["command"]
    )
    assert result["matmul"] == "highest"
    plain_row, bf16 = result["rows"]
    assert (plain_row["row"], bf16["row"]) == ("plain", "bf16")
    for row in (plain_row, bf16):
        seconds = row["seconds_per_image"]
        assert 0 < seconds["low"] <= seconds["median"] <= seconds["high"]
        assert row["speedup"] == pytest.approx(
            plain_row["seconds_per_image"]["median"] / seconds["median"], rel=1e-9
        )
        assert row["peak_memory_bytes"] == 2**30
        assert row["loss"] == pytest.approx(plain_row["loss"], rel=2e-2)
    page = out.read_text()
    assert result["command"] in page
    assert "its gradient's norm; of the gradient no more is compared" in page
    assert "| bf16 | per-scale, in bf16 | " in page
    assert "| torch | " in page
    assert "bench train 8/8 time of bf16" in ran.err


def test_a_row_that_cannot_run_has_its_reason(config, monkeypatch):
    def peak(device, work, row, *arguments):
        if row is not PLAIN:
            raise Failed("no C++ compiler was found")
        return 2**30

    monkeypatch.setattr(measure, "peak_memory", peak)
    monkeypatch.setattr(measure, "matmul_peak", lambda dtype, device: 1e12)
    rows, configs = rows_of(config, "compile")
    counts = []
    result = bench_training(
        rows,
        configs,
        repeats=1,
        device="cpu",
        progress=lambda done, total, text: counts.append((done, total)),
    )
    assert result["rows"][1] == {
        "row": "compile",
        "what": "bf16, with torch.compile",
        "refused": "no C++ compiler was found",
    }
    assert counts[-1] == (6, 6)
    measured, refused_row = table(result)
    assert len(measured) == len(refused_row) == len(HEADINGS)
    assert measured[-2:] == ("1.00 x", "1.00 GiB")
    assert refused_row[-1] == "not here: no C++ compiler was found"
    assert "not here: no C++ compiler was found |" in markdown(report(result), "vartk bench train")


def test_a_failure_of_plain_is_an_error(config, monkeypatch):
    def peak(*arguments):
        raise Failed("it is out of memory")

    monkeypatch.setattr(measure, "peak_memory", peak)
    rows, configs = rows_of(config)
    with pytest.raises(VartkError, match="row 'plain' cannot run here: it is out of memory"):
        bench_training(rows, configs, repeats=1, device="cpu")


@pytest.mark.parametrize(
    ("work", "reason"),
    [((operator.truediv, 1, 0), "ZeroDivisionError: division by zero"), ((os._exit, 9), "was killed")],
)
def test_work_that_fails_in_its_process_gives_the_reason(work, reason):
    with pytest.raises(Failed, match=reason):
        peak_memory(CPU, *work)


def test_wrong_input(refused, config, tmp_path):
    (tmp_path / "old.md").write_text("kept")
    for words, message in (
        (("--rows", "codes,bf61"), "unknown row 'bf61'; did you mean 'bf16'?"),
        ((f"{STAGE}.precision=fp16",), f"{STAGE}.precision is decided by the benchmark"),
        ((f"{STAGE}.attention=eager",), f"{STAGE}.attention is decided by the benchmark"),
        (("transformer.dept=3",), "did you mean"),
        (("--stage", "tokenizer", "--rows", "flex"), "unknown row 'flex'"),
        (("--stage", "tokenizer", "train.tokenizer.precision=fp16"), "precision is decided by the benchmark"),
        (("--batch", "0"), "not a whole number from 1"),
        (("--out", tmp_path / "old.md"), "exists and is not overwritten"),
        (("--device", "cuda:99"), "cannot be used here"),
    ):
        assert message in refused("bench", "train", config, *words)
    assert "no configuration 'dmeo'" in refused("bench", "train", "dmeo")
    assert (tmp_path / "old.md").read_text() == "kept"
    with pytest.raises(UnknownName):
        choose(["quick"])
