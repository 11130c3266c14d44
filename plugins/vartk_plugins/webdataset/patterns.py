"""From patterns to shards."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vartk_registry import VartkError

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def find_shards(patterns: Sequence[str]) -> list[Path]:
    """Return the shards in the order of `patterns`; those of a folder or a glob are sorted.

    Raises:
        VartkError: a pattern that matches nothing.
    """
    return [shard for pattern in patterns for shard in _matching(pattern)]


def _matching(pattern: str) -> list[Path]:
    found: list[Path] = []
    for name in _expanded(str(Path(pattern).expanduser())):
        path = Path(name)
        if path.is_dir():
            matches = sorted(path.glob("*.tar"))
        elif path.exists():
            matches = [path]
        else:
            matches = sorted(Path(match) for match in glob.glob(name, recursive=True))
        if not matches:
            what = f"no .tar file in the folder {path}" if path.is_dir() else f"no file {path}"
            where = "" if name == pattern else f", of {pattern!r}"
            raise VartkError(
                f"dataset webdataset: {what}{where}; give shards on this machine: files, folders, "
                "globs (shards/train-*.tar) or ranges (shards/train-{0000..0099}.tar)"
            )
        found += matches
    return found


def _expanded(pattern: str) -> Iterator[str]:
    """Yield a pattern with its ranges written out, zeros kept: {08..10} gives 08, 09 and 10."""
    if not (match := _RANGE.search(pattern)):
        yield pattern
        return
    first, last = match.groups()
    numbers = range(int(first), int(last) + 1)
    if not numbers:
        raise VartkError(
            f"dataset webdataset: {match[0]} in {pattern!r} holds no number; the lower one is first"
        )
    for number in numbers:
        yield from _expanded(f"{pattern[: match.start()]}{number:0{len(first)}}{pattern[match.end() :]}")
