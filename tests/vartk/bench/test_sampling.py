"""vartk bench sample: ways to sample, timed in turns and compared after the same coarser codes."""

import json
import math

import pytest
import tiny
import torch

from vartk.bench.model import read_model
from vartk.bench.sampling.measure import Runner, Way, bench_sampling
from vartk.bench.sampling.report import HEADINGS, report
from vartk.engine.folder import save_model
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def result(config):
    return bench_sampling(
        config,
        [],
        precisions=["plain", "fp32", "bf16"],
        backends=["sdpa"],
        batches=[1, 3],
        repeats=2,
        device="cpu",
    )


def test_every_combination_has_a_row_with_its_stages(result):
    ways = [(row["batch"], row["precision"]) for row in result["rows"]]
    assert ways == [(b, p) for b in (1, 3) for p in ("plain", "fp32", "bf16")]
    for row in result["rows"]:
        assert len(row["scale_seconds"]) == len(result["schedule"]) == 3
        assert row["transformer_seconds"] == pytest.approx(sum(row["scale_seconds"]))
        seconds = row["seconds_per_image"]
        assert 0 < seconds["low"] <= seconds["median"] <= seconds["high"]
        assert 0 < row["decoder_seconds"] < seconds["high"]
        assert 0 < row["draw_seconds"] < row["transformer_seconds"]
        assert row["peak_memory_bytes"] > 50 * 2**20  # Python and torch alone have more


def test_the_speed_up_is_over_the_first_way_of_the_same_batch(result):
    for row in result["rows"]:
        first = next(r for r in result["rows"] if r["batch"] == row["batch"])
        expected = first["seconds_per_image"]["median"] / row["seconds_per_image"]["median"]
        assert row["speedup"] == pytest.approx(expected)


def test_fp32_draws_all_codes_alike_and_bf16_most(result):
    rows = {(row["batch"], row["precision"]): row for row in result["rows"]}
    for batch in (1, 3):
        assert rows[batch, "plain"]["codes_alike"] == rows[batch, "fp32"]["codes_alike"] == 1
        assert rows[batch, "plain"]["psnr"] is None
        assert rows[batch, "fp32"]["psnr"] is None or rows[batch, "fp32"]["psnr"] > 80
        assert 0.5 < rows[batch, "bf16"]["codes_alike"] <= 1
        assert 30 < rows[batch, "bf16"]["psnr"] < 80


def test_codes_that_differ_do_not_make_others_differ(config):
    """One code is changed: it alone differs, for the next scales start from the codes given."""
    runner = Runner(Way("plain", "sdpa", 1), read_model(config, []))
    codes = runner.codes()
    assert runner.beside(codes)[0] == 1
    changed = [code.clone() for code in codes]
    changed[-1][0, 3] = (changed[-1][0, 3] + 1) % 24
    assert runner.beside(changed)[0] == pytest.approx(20 / 21)


def test_filter_and_draw_are_timed_without_the_rest(config):
    """The draws are the generation's own, and no transformer is run."""
    runner = Runner(Way("plain", "sdpa", 1), read_model(config, ["sampling.sampler=greedy"]))
    codes = runner.codes()
    runner.beside(codes)
    runner.model.predictor = None
    drawn = [draw() for draw in runner._draws]
    assert [draw.codes.shape for draw in drawn] == [code.shape for code in codes]
    assert all(torch.equal(draw.codes, code) for draw, code in zip(drawn, codes, strict=True))
    runner.forget_draws()
    assert runner.draw() is None


def test_the_tables_hold_the_numbers(result):
    shown = report(result)
    assert shown.tables[0].headings == HEADINGS
    row, cells = result["rows"][2], shown.tables[0].rows[2]
    assert cells[:4] == ("1", "bf16", "sdpa", f"{row['seconds_per_image']['median']:.3g}")
    assert cells[-2:] == (f"{row['codes_alike']:.2%}", f"{row['psnr']:.1f} dB")
    assert shown.tables[1].headings[3:] == ("1x1", "2x2", "4x4")
    assert math.isclose(float(shown.tables[1].rows[2][-1]), 1000 * row["scale_seconds"][-1], rel_tol=0.01)
    assert "random weights" in shown.protocol


def test_a_models_folder_is_measured_with_its_own_weights(tmp_path):
    model = tiny.tiny_model()
    save_model(model, tmp_path / "model")
    read = read_model(str(tmp_path / "model"), [])
    for own, its in zip(read.modules(), model.modules(), strict=True):
        for name, value in its.state_dict().items():
            torch.testing.assert_close(own.state_dict()[name], value)


def test_the_command(config, vartk, tmp_path):
    out = tmp_path / "result.md"
    words = ["bench", "sample", config, "--precisions", "bf16", "--batch", 1, "--repeats", 1, "--json"]
    ran = vartk(*words, "--out", out)
    assert ran.code == 0
    made = json.loads(ran.out.splitlines()[-1])
    assert [row["precision"] for row in made["rows"]] == ["plain", "bf16"]
    assert made["command"].startswith(f"vartk bench sample {config} --against plain --precisions bf16")
    assert made["command"] in out.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--precisions", "bf61"], "unknown precision 'bf61'; did you mean 'bf16'"),
        (["--against", "none"], "unknown precision 'none'"),
        (["--backends", "sdap"], "unknown attention 'sdap'; did you mean 'sdpa'"),
        (["--batch", "0"], "--batch '0' is no number of images"),
        (["--batch", "1,x"], "--batch 'x' is no number of images"),
    ],
)
def test_wrong_words(config, vartk, words, message):
    ran = vartk("bench", "sample", config, *words)
    assert ran.code == 2
    assert message in ran.err


def test_a_first_way_that_cannot_run_is_an_error(config):
    with pytest.raises(VartkError, match="plain with xformers cannot run here"):
        bench_sampling(
            config, [], precisions=["plain"], backends=["xformers"], batches=[1], repeats=1, device="cpu"
        )
