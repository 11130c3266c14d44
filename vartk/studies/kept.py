"""Numbers that a study has measured, a file each, so that a stopped study does not measure them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..files import whole_file


class Kept:
    """The numbers in a folder, by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> Any:
        """Return what was kept, or None."""
        path = self._folder / f"{name}.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def keep(self, name: str, value: Any) -> Any:
        """Write a value, whole or not at all, and return it."""
        with whole_file(self._folder / f"{name}.json") as aside:
            aside.write_text(json.dumps(value, indent=1))
        return value
