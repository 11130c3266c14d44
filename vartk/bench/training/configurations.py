"""The configuration of each row of `vartk bench train`."""

from __future__ import annotations

from collections.abc import Sequence

from vartk_registry import VartkError

from ...components import plugins
from ...config import Config, compose, leaves, load_layers, nest, parse_overrides
from ..model import class_names
from .rows import Row

COMPLETE = {"train.tokenizer.perceptual": "elite0", "train.tokenizer.adversarial": "patch"}
"""What a tokenizer is trained with in the benchmark, if the configuration says nothing of it."""


def configurations(
    config: str, overrides: Sequence[str], rows: Sequence[Row], batch: int
) -> dict[str, Config]:
    """Return the configuration of each row, by its name.

    Args:
        config: a preset or a YAML file.
        overrides: `key=value` settings.
        rows: `plain` first.

    Raises:
        VartkError: it is not a valid configuration, or an override is for what a row decides.
    """
    stage = rows[0].stage
    prefix = f"train.{stage}"
    alike = {
        f"{prefix}.batch": batch,
        f"{prefix}.accumulate": 1,
        f"{prefix}.ema": 0.0,
        f"{prefix}.lr": 1e-12,  # the weights stay, so that all rows and all turns compute the same
    }
    if stage == "tokenizer":
        alike |= {f"{prefix}.discriminator_lr": 1e-12, f"{prefix}.adversarial_start": 0.0}
    given = parse_overrides(overrides)
    for path, _ in leaves(given.values):
        for decided in (*alike, *rows[0].settings):
            if path == decided or path.startswith(f"{decided}."):
                raise VartkError(
                    f"{path} is decided by the benchmark; leave it out, and see --rows and --batch"
                )
    layers = [nest(COMPLETE, "vartk bench train"), *load_layers(config, plugins()), given]
    made = {
        row.name: compose(
            Config, [*layers, nest({**alike, **row.settings}, f"row {row.name}")], plugins()
        ).config
        for row in rows
    }
    classes = class_names(made[rows[0].name])
    for row_config in made.values():
        row_config.classes = classes
    return made
