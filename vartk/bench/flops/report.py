"""How the result of `vartk bench flops` is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...tables import Table
from ..report import Report
from .count import KINDS

PARTS = {
    "encode": "tokenizer: encode an image",
    "decode": "tokenizer: decode an image",
    "forward": "transformer: all steps at once, as in training, forward",
    "guided": "sampling: all cached steps, with guidance",
    "unguided": "sampling: all cached steps, without guidance",
}


def report(result: Mapping[str, Any]) -> Report:
    """Return what is shown of a result."""
    sizes = [(name, f"{number:,}") for name, number in result["parameters"].items()]
    parts = [
        (PARTS[part["part"]], *(_giga(part[kind]) for kind in (*KINDS, "total"))) for part in result["parts"]
    ]
    scales = [
        (
            str(step),
            "x".join(map(str, scale["grid"])),
            str(scale["tokens"]),
            _giga(scale["guided"]["total"]),
            _giga(scale["unguided"]["total"]),
        )
        for step, scale in enumerate(result["scales"])
    ]
    tables = [
        Table(("part", "parameters"), sizes, "Parameters"),
        Table(("part", *(f"{kind}, GFLOP" for kind in (*KINDS, "total"))), parts, "Operations"),
        Table(("scale", "grid", "tokens", "with guidance, GFLOP", "without, GFLOP"), scales, "Cached steps"),
    ]
    return Report(result["benchmark"], _protocol(result), tables)


def _protocol(result: Mapping[str, Any]) -> str:
    told = (
        "Floating-point operations of one image, counted by fvcore's formulas; a multiply-add is "
        "two. Attention counts the pairs that the mask lets through, or all pairs under a causal mask. "
        "A cached step has its share of the "
        "tokenizer, whose decoder is a row of its own. Norms, activations, resizing and draws are not "
        "counted; a training step takes about three times the forward pass."
    )
    if unknown := result["uncounted"]:
        told += f" Not counted, for they are no part of torch: {', '.join(unknown)}."
    return told


def _giga(number: int) -> str:
    return f"{number / 1e9:,.3f}"
