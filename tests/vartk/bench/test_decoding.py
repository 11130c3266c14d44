"""vartk bench decode: the same image whole and in tiles, its memory and its time."""

import json

import pytest
import smallest
import tiny
import torch

from vartk.bench.decoding.measure import Decoding, bench_decoding
from vartk.bench.decoding.report import report
from vartk.bench.model import read_model
from vartk.engine.folder import save_model
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = ["sampling.size=[256,192]"]


@pytest.fixture(scope="module")
def result(config):
    return bench_decoding(config, SIZE, tiles=[0, 32], repeats=2, device="cpu")


def test_tiles_need_less_memory_and_make_the_same_image(result):
    whole, tiled = result["rows"]
    assert (result["size"], result["latent"]) == ([256, 192], [64, 48])
    # a convolution of the finest maps holds two of them, of 32 channels in fp32
    assert whole["peak_memory_bytes"] > 2 * 32 * 256 * 192 * 4
    assert tiled["peak_memory_bytes"] < 0.8 * whole["peak_memory_bytes"]
    assert whole["psnr"] is None
    assert tiled["psnr"] is None or tiled["psnr"] > 100
    for row in result["rows"]:
        assert 0 < row["seconds"]["low"] <= row["seconds"]["median"] <= row["seconds"]["high"]
        assert 0 < row["processor_seconds"] < 1.5 * row["seconds"]["high"]  # one thread


def test_the_table_holds_the_numbers(result):
    shown = report(result)
    tiled = result["rows"][1]
    assert [row[0] for row in shown.tables[0].rows] == ["whole", "32"]
    assert shown.tables[0].rows[0][-1] == "equal"
    assert shown.tables[0].rows[1][1:3] == (
        f"{tiled['peak_memory_bytes'] / 2**20:.0f} MiB",
        f"{tiled['seconds']['median']:.3g}",
    )
    assert "to 192x256 pixels" in shown.protocol
    assert "precision auto (float32)" in shown.protocol


def test_a_folder_of_a_tokenizer_alone_decodes_as_its_model(tmp_path):
    model = tiny.tiny_model()
    model.predictor = None
    save_model(model, tmp_path / "tokenizer")
    read = read_model(str(tmp_path / "tokenizer"), [], predictor=False)
    image = Decoding(read, (4, 4), 0)()
    latent = torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(image, model.tokenizer.eval().decode(latent))


def test_the_command(config, vartk, tmp_path):
    out = tmp_path / "result.md"
    ran = vartk("bench", "decode", config, "--tiles", "8", "--size", "32x16", "--json", "--out", out)
    assert ran.code == 0, ran.err
    made = json.loads(ran.out.splitlines()[-1])
    assert ([row["tile"] for row in made["rows"]], made["size"]) == ([8], [16, 32])
    assert made["command"].startswith(f"vartk bench decode {config} 'sampling.size=[16,32]' --tiles 8 ")
    assert made["command"] in out.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tiles", "0,4"], "--tiles '4' is no side of tiles; give pixels, at least 8"),
        (["--tiles", "x"], "--tiles 'x' is no side of tiles"),
        (["--size", "33x16"], "does not fit this tokenizer"),
        (["sampling.precison=bf16"], "did you mean sampling.precision"),
    ],
)
def test_wrong_words(config, vartk, words, message):
    ran = vartk("bench", "decode", config, *words)
    assert ran.code == 2
    assert message in ran.err


def test_a_tokenizer_without_tiles_is_told_before_anything_is_measured(config, monkeypatch):
    model = tiny.tiny_model()
    model.tokenizer = smallest.Patches()
    monkeypatch.setattr("vartk.bench.decoding.measure.read_model", lambda *a, **k: model)
    with pytest.raises(VartkError, match="cannot decode in tiles; give --tiles 0 for whole images"):
        bench_decoding(config, [], tiles=[0, 8], repeats=1, device="cpu")
