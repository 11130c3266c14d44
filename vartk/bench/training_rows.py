"""The rows of `vartk bench train`: ways to do a step of the second stage, each faster than the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vartk_registry import UnknownName, VartkError

from ..components import plugins
from ..config import Config, compose, leaves, load_layers, nest, parse_overrides

STAGE = "train.transformer"


@dataclass(frozen=True, slots=True)
class Row:
    """A way to do a step.

    Args:
        summary: what it does: another row, and what it adds to that.
        settings: the keys of the configuration that it decides.
        encodes: whether each step encodes its images, instead of taking codes made beforehand.
    """

    name: str
    summary: str
    settings: Mapping[str, Any]
    encodes: bool = False


_FP32 = {f"{STAGE}.precision": "fp32", f"{STAGE}.compile": False}
_BF16 = {**_FP32, f"{STAGE}.precision": "bf16"}
_DENSE = {f"{STAGE}.attention": {"name": "sdpa", "dense": True}}
_PER_SCALE = {f"{STAGE}.attention": {"name": "sdpa", "dense": False}}

ROWS = {
    row.name: row
    for row in (
        Row("plain", "images encoded in every step, dense mask, fp32", {**_FP32, **_DENSE}, encodes=True),
        Row("codes", "plain, with codes made once by vartk tokenize", {**_FP32, **_DENSE}),
        Row("per-scale", "codes, with attention scale by scale and no mask", {**_FP32, **_PER_SCALE}),
        Row("bf16", "per-scale, in bf16", {**_BF16, **_PER_SCALE}),
        Row("matmul", "bf16, with attention as products in bf16", {**_BF16, f"{STAGE}.attention": "matmul"}),
        Row("compile", "bf16, with torch.compile", {**_BF16, **_PER_SCALE, f"{STAGE}.compile": True}),
        Row(
            "checkpointing",
            "bf16, with gradient checkpointing",
            {**_BF16, **_PER_SCALE, "transformer.checkpointing": True},
        ),
    )
}
PLAIN = ROWS["plain"]
USUAL = ("codes", "per-scale", "bf16", "matmul")
"""The rows that are measured beside `plain` where none are named."""


def choose(names: Sequence[str]) -> list[Row]:
    """Return `plain` and the named rows, in the order of `ROWS`; `UnknownName` where there is no such row."""
    for name in names:
        if name not in ROWS:
            raise UnknownName("row", name, ROWS)
    return [row for row in ROWS.values() if row is PLAIN or row.name in names]


def configurations(
    config: str, overrides: Sequence[str], rows: Sequence[Row], batch: int
) -> dict[str, Config]:
    """Return the configuration of each row, by its name.

    Args:
        config: a preset or a YAML file.
        overrides: `key=value` settings.

    Raises:
        VartkError: it is not a valid configuration, or an override is for what a row decides.
    """
    alike = {
        f"{STAGE}.batch": batch,
        f"{STAGE}.accumulate": 1,
        f"{STAGE}.ema": 0.0,
        f"{STAGE}.lr": 1e-12,  # the weights stay, so that all rows and all turns compute the same
    }
    given = parse_overrides(overrides)
    for path, _ in leaves(given.values):
        for decided in (*alike, *PLAIN.settings):
            if path == decided or path.startswith(f"{decided}."):
                raise VartkError(
                    f"{path} is decided by the benchmark; leave it out, and see --rows and --batch"
                )
    layers = [*load_layers(config, plugins()), given]
    made = {
        row.name: compose(
            Config, [*layers, nest({**alike, **row.settings}, f"row {row.name}")], plugins()
        ).config
        for row in rows
    }
    classes = class_names(made[PLAIN.name])
    for row_config in made.values():
        row_config.classes = classes
    return made


def class_names(config: Config) -> list[str]:
    """Return the names of the classes; those of the dataset, if it is here and there are no others."""
    if not config.classes:
        with suppress(VartkError):
            slot = config.dataset
            return plugins().registry.build("dataset", slot.name, slot.params, split="train").classes
    return config.classes
