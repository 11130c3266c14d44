"""The installed plugins: vartk's own, by the names of their modules, and everyone else's."""

from __future__ import annotations

import os
from functools import cache

from vartk_registry import Plugins, discover

BUILTINS = tuple(
    f"vartk_plugins.{name}"
    for name in (
        "schedules",
        "vq",
        "fsq",
        "binary",
        "var_vqvae",
        "var",
        "class_conditioner",
        "text_conditioner",
        "attention",
        "xformers_attention",
        "flash_attention",
        "full_cache",
        "scale_caches",
        "token_caches",
        "token_pruning",
        "guidance",
        "samplers",
        "emoji64",
        "folder",
        "webdataset",
        "discriminators",
        "image_metrics",
        "distribution_metrics",
        "elite",
        "lpips",
        "inception",
        "loggers",
        "original_var",
        "dit",
        "diffusers_pipeline",
        "presets",
    )
)


@cache
def plugins() -> Plugins:
    """Return everything that is installed; found once a process.

    The environment variable VARTK_PLUGINS chooses among what others than vartk have installed.
    """
    return discover(BUILTINS, chosen=os.environ.get("VARTK_PLUGINS", ""))
