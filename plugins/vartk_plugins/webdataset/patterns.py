"""From patterns to shards."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from vartk_registry import VartkError
from vartk_registry.folders import list_files, warn_of_repeats

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def find_shards(patterns: Sequence[str]) -> list[Path]:
    """Return the shards in the order of `patterns`; those of a folder or a glob are sorted.

    Raises:
        VartkError: a pattern that matches nothing.
    """
    return [shard for pattern in patterns for shard in _matching(pattern)]


def _matching(pattern: str) -> list[Path]:
    found: list[Path] = []
    for name in _expanded(os.path.expanduser(pattern)):
        path = Path(name)
        if path.is_dir():
            matches = _once(name, path.glob("*.tar"))
        elif path.exists():
            matches = [path]
        else:
            matches = _once(name, _recursive(path) if "**" in path.parts else map(Path, glob.glob(name)))
        if not matches:
            what = f"no .tar file in the folder {path}" if path.is_dir() else f"no file {path}"
            where = "" if name == pattern else f", of {pattern!r}"
            raise VartkError(
                f"dataset webdataset: {what}{where}; give shards on this machine: files, folders, "
                "globs (shards/train-*.tar) or ranges (shards/train-{0000..0099}.tar)"
            )
        found += matches
    return found


def _recursive(pattern: Path) -> Iterator[Path]:
    """Yield what matches a pattern with `**`; a loop of links would lead the standard glob astray."""
    at = pattern.parts.index("**")
    for base in map(Path, glob.glob(str(Path(*pattern.parts[:at])))):
        if base.is_dir():
            found = list_files(base)
            warn_of_repeats(f"dataset webdataset: {base}", tuple(found.repeats))
            yield from (base / name for name in found.names if _fits(name.split("/"), pattern.parts[at:]))


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the parts of a path match those of a pattern, in which `**` stands for any number."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _once(pattern: str, paths: Iterable[Path]) -> list[Path]:
    """Return sorted paths, of those that lead to one file the one without links."""
    files: dict[Path, Path] = {}
    repeats = []
    real = {path: Path(os.path.realpath(path)) for path in paths}  # resolve() fails on a loop
    for path in sorted(real, key=lambda path: (real[path] != path.absolute(), path)):
        if files.setdefault(real[path], path) != path:
            repeats.append(str(path))
    warn_of_repeats(f"dataset webdataset: {pattern}", tuple(repeats))
    return sorted(files.values())


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
