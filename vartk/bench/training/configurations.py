"""The configuration of each row of `vartk bench train`."""

from __future__ import annotations

from collections.abc import Sequence

from vartk_registry import VartkError

from ...components import plugins
from ...config import Config, compose, leaves, load_layers, nest, parse_overrides
from ..model import class_names
from .rows import PLAIN, STAGE, Row


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
