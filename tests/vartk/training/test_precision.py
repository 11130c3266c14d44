"""The precision `auto` of a training."""

from pathlib import Path

import pytest
from tiny import Quiet, images_folder, tiny_composed

from vartk.engine.recipes import train_tokenizer
from vartk.engine.training import Run

CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPUINFO.exists(), reason="the test reads what the processor has from /proc/cpuinfo")
def test_auto_is_bf16_where_the_processor_has_it(tmp_path):
    photos = images_folder(tmp_path / "photos")
    words = CPUINFO.read_text().split()
    # oneDNN multiplies bf16 with the instructions of AVX-512, or on ARM with its own
    has_bf16 = {"avx512bw", "avx512vl", "avx512dq"} <= set(words) or "bf16" in words
    expected = "bf16" if has_bf16 else "fp32"
    losses = {}
    for precision in ("auto", "fp32", "bf16"):
        composed = tiny_composed(photos, **{"train.tokenizer.precision": precision})
        train_tokenizer(composed, tmp_path / precision, reporter=Quiet(), device="cpu")
        losses[precision] = [line["loss"] for line in Run(tmp_path / precision).metrics() if "loss" in line]
    assert losses["fp32"] != losses["bf16"]
    assert losses["auto"] == losses[expected]
