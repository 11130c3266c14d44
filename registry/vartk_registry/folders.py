"""Lists the files of folders: each once, whatever symbolic links lead to it."""

from __future__ import annotations

import heapq
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from .errors import counted

log = logging.getLogger(__name__)

State = list[int] | None
"""What changes with a folder's entries or a file's content; None where there is nothing."""


@dataclass(slots=True)
class Found:
    """What `list_files` finds; all names are relative to its root, with "/" between folders.

    Attributes:
        names: the files, sorted.
        repeats: links to what is listed by another name already, such as a folder that holds the link.
        broken: links to nothing.
        states: the state of each folder that was read, and None for each broken link. While they are the
            same, so are the names.
    """

    names: list[str] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    states: dict[str, State] = field(default_factory=dict)


def list_files(root: Path, tops: Sequence[str] = ("",)) -> Found:
    """Return all files under folders of `root` but hidden ones.

    A file that is there under its own name keeps it. Links are followed after that, in the order of their
    names. Hard links count as separate files. Folders are read without a look at each file.

    Args:
        tops: the folders, relative to `root`; "" is `root` itself.

    Raises:
        OSError: a folder cannot be read.
    """
    found, visited, links = Found(), set[str](), list[str]()
    for top in tops:
        links += _read_tree(root, top, os.path.realpath(root / top), found, visited)
    heapq.heapify(links)
    to_files: list[tuple[str, str]] = []
    while links:
        link = heapq.heappop(links)
        try:
            target = os.path.realpath(root / link, strict=True)
        except OSError:
            found.broken.append(link)
            found.states[link] = None
            continue
        if not os.path.isdir(target):
            to_files.append((link, target))
        elif target in visited or _holds(target, root / link):
            found.repeats.append(link)
        else:
            for inside in _read_tree(root, link, target, found, visited):
                heapq.heappush(links, inside)
    listed: set[str] = set()
    for link, target in to_files:
        folder, name = os.path.split(target)
        if target in listed or (folder in visited and not name.startswith(".")):
            found.repeats.append(link)
        elif os.path.isfile(target):
            listed.add(target)
            found.names.append(link)
    found.names.sort()
    return found


def state_of(path: Path) -> State:
    """Return the state of a folder or a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    # the time of change catches a content whose time of modification was set back
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


@cache
def warn_of_repeats(where: str, repeats: tuple[str, ...]) -> None:
    """Log a warning about links that were left out, if there are any; once, for a dataset has two splits."""
    if repeats:
        shown = ", ".join(repeats[:10]) + ", ..." * (len(repeats) > 10)
        links = counted(len(repeats), "symbolic link")
        log.warning(
            "%s has %s to what is there by another name; each file counts once, without %s",
            where,
            links,
            shown,
        )


def _read_tree(root: Path, top: str, real: str, found: Found, visited: set[str]) -> Iterator[str]:
    """Add the files under a folder whose real path is given, and yield the links there."""
    folders = [(top, real)]
    while folders:
        name, real = folders.pop()
        if real in visited:
            continue
        visited.add(real)
        # first the state: what changes while the folder is read changes the state too
        found.states[name] = state_of(Path(real))
        with os.scandir(real) as entries:
            for entry in entries:
                inside = f"{name}/{entry.name}" if name else entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink():
                    yield inside
                elif entry.is_dir():
                    folders.append((inside, entry.path))
                elif entry.is_file():  # and no pipe, which would wait for a writer
                    found.names.append(inside)


def _holds(folder: str, link: Path) -> bool:
    """Return whether a link lies in a folder or below it, by their real paths."""
    return Path(os.path.realpath(link.parent)).is_relative_to(folder)
