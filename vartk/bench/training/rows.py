"""The rows of `vartk bench train`: ways to do a step of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vartk_registry import UnknownName

STAGE = "train.transformer"


@dataclass(frozen=True, slots=True)
class Row:
    """A way to do a step.

    Args:
        summary: what it does: another row, and what it adds to that.
        settings: the keys of the configuration that it decides.
        encodes: whether each step encodes its images, instead of taking codes made beforehand.
        alike: whether it computes what `plain` computes; otherwise it is another model.
        stage: what is trained.
        layout: torch's name of the memory format of a tokenizer's images and weights; empty for the one that
            training chooses.
    """

    name: str
    summary: str
    settings: Mapping[str, Any]
    encodes: bool = False
    alike: bool = True
    stage: str = "transformer"
    layout: str = ""


_FP32 = {f"{STAGE}.precision": "fp32", f"{STAGE}.compile": False}
_BF16 = {**_FP32, f"{STAGE}.precision": "bf16"}
_DENSE = {f"{STAGE}.attention": {"name": "sdpa", "dense": True}}
_FLEX = {f"{STAGE}.attention": "flex"}
_AUTO = {**_BF16, f"{STAGE}.attention": "auto", f"{STAGE}.compile": "auto"}
_COMPILED = {f"{STAGE}.compile": True}
_PER_SCALE = {f"{STAGE}.attention": {"name": "sdpa", "dense": False}}

ROWS = {
    row.name: row
    for row in (
        Row("plain", "images encoded in every step, dense mask, fp32", {**_FP32, **_DENSE}, encodes=True),
        Row("codes", "plain, with codes made once by vartk tokenize", {**_FP32, **_DENSE}),
        Row("per-scale", "codes, with attention scale by scale and no mask", {**_FP32, **_PER_SCALE}),
        Row("bf16", "per-scale, in bf16", {**_BF16, **_PER_SCALE}),
        Row("matmul", "bf16, with attention as products in bf16", {**_BF16, f"{STAGE}.attention": "matmul"}),
        Row("compile", "bf16, with torch.compile", {**_BF16, **_PER_SCALE, **_COMPILED}),
        Row(
            "checkpointing",
            "bf16, with gradient checkpointing",
            {**_BF16, **_PER_SCALE, "transformer.checkpointing": True},
        ),
        Row("dense", "bf16, with a dense mask", {**_BF16, **_DENSE}),
        Row("dense-compile", "dense, with torch.compile", {**_BF16, **_DENSE, **_COMPILED}),
        Row("flex", "bf16, with flex attention", {**_BF16, **_FLEX}),
        Row("flex-compile", "flex, with torch.compile", {**_BF16, **_FLEX, **_COMPILED}),
        Row("auto", "bf16, with the defaults for attention and compilation", _AUTO),
        Row(
            "context",
            "auto, another model: each scale attends to itself alone",
            {**_AUTO, "transformer.context": 0},
            alike=False,
        ),
    )
}
PLAIN = ROWS["plain"]


def _tokenizer(name: str, summary: str, precision: str, *, compile: bool = False, layout: str = "") -> Row:
    prefix = "train.tokenizer"
    settings = {f"{prefix}.precision": precision, f"{prefix}.compile": compile}
    return Row(name, summary, settings, stage="tokenizer", layout=layout)


TOKENIZER_ROWS = {
    row.name: row
    for row in (
        _tokenizer("plain", "channels first, in fp32", "fp32", layout="contiguous_format"),
        _tokenizer("channels_last", "channels last, in fp32", "fp32", layout="channels_last"),
        _tokenizer("bf16", "the layout that training takes here, in bf16", "bf16"),
        _tokenizer("compile", "bf16, with torch.compile", "bf16", compile=True),
    )
}

STAGES = {"transformer": ROWS, "tokenizer": TOKENIZER_ROWS}
"""The rows of each stage; the first one is the one that others are compared with."""

USUAL = {"transformer": ("codes", "per-scale", "bf16", "matmul"), "tokenizer": ("channels_last", "bf16")}
"""The rows of each stage that are measured beside `plain` where none are named."""


def choose(names: Sequence[str], stage: str = "transformer") -> list[Row]:
    """Return `plain` and the named rows of a stage, in their order; `UnknownName` if there is no such row."""
    rows = STAGES[stage]
    for name in names:
        if name not in rows:
            raise UnknownName("row", name, rows)
    return [row for row in rows.values() if row.name in ("plain", *names)]
