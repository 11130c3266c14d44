"""Where vartk and its plugins keep what they can make again."""

from __future__ import annotations

import os
from pathlib import Path

CACHE = "VARTK_CACHE"
"""The environment variable that moves the cache folder."""


def cache_folder() -> Path:
    """Return the cache folder, which may not exist; everything in it can be deleted at any time."""
    default = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "vartk")
    return Path(os.environ.get(CACHE) or default)
