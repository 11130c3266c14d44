"""Reads the ways of a comparison from what was typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from vartk_registry import VartkError

from ..config import Layer, parse_overrides
from ..engine.model import Model
from .compare import Way
from .compare_files import file_name

FULL = "full"
"""The cache of the first way where none is named."""

_NAME = re.compile(r"\w[\w.+-]*")


def parse_ways(model: Model, shared: Layer, caches: str | None, ways: Sequence[str]) -> list[Way]:
    """Return the ways that were asked for, all of them checked.

    Args:
        shared: settings of sampling that all ways have.
        caches: cache strategies as a YAML list without its brackets; a way for each: a name, a chain of
            names in brackets, or a name with parameters as a mapping. None is `full` alone.
        ways: "NAME: key=value ..." each, settings beside those of the first way.

    Raises:
        VartkError: a name or a setting is unknown or out of range; or two ways have one name.
    """
    if "cache" in shared.values:
        raise VartkError(
            "the caches are named by --cache A,B here, and by --way 'NAME: cache=A cache.KEY=VALUE'"
        )
    asked = _caches(FULL if caches is None else caches)
    named = {name: [Layer(f"--cache {name}", {"cache": cache})] for name, cache in asked}
    first = next(iter(named.values()))
    layers = [*named.items()]
    layers += [(own.source.removeprefix("--way "), [*first, own]) for own in map(_way, ways)]
    found = [_checked(Way(name, model.merged_sampling(shared, *own)), model) for name, own in layers]
    files = [file_name(way.name).lower() for way in found]
    for index, way in enumerate(found):
        if files[index] in files[:index]:
            raise VartkError(f"two ways are called {way.name}; give each a name of its own")
        if way.sampling.batch != found[0].sampling.batch:
            raise VartkError(f"{way.name}: batch={way.sampling.batch} differs; all ways have one, by --batch")
    return found


def _checked(way: Way, model: Model) -> Way:
    """Return a way whose parts can be built here."""
    try:
        model.recipe(way.sampling, [0])
    except VartkError as error:
        raise VartkError(f"{way.name}: {error}") from error
    return way


def _caches(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the name of each way that --cache asks for, with what stands for the strategy."""
    asked = parse_overrides([f"caches=[{text}]"], "--cache").values["caches"]
    seen: set[str] = set()
    for cache in asked:
        name = _name_of(cache)
        if not name:
            raise VartkError(
                f"--cache {text!r}: {cache!r} is no cache strategy; give names, chains or parameters, as in "
                "--cache 'full,window,[ams_kv,fastvar],{name: window, last: 2}'"
            )
        if name in seen:
            raise VartkError(f"--cache {text!r} names {name} twice")
        seen.add(name)
        yield name, cache
    if not seen:
        raise VartkError("--cache names no strategy; give one or several, as in --cache full,window")


def _name_of(cache: Any) -> str:
    """Return what a way with a cache is called; nothing where it is no cache."""
    match cache:
        case str():
            return cache
        case list() if cache and all(map(_name_of, cache)):
            return "+".join(map(_name_of, cache))
        case {"name": str(name), **params}:
            return " ".join([name, *(f"{key}={value}" for key, value in params.items())])
    return ""


def _way(text: str) -> Layer:
    """Return the settings of a --way."""
    name, colon, rest = text.partition(":")
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise VartkError(f"--way {text!r}: {error}") from error
    if not colon or not words or not _NAME.fullmatch(name.strip()):
        raise VartkError(
            f"--way {text!r} is not understood; give a name and settings of sampling, as in "
            "--way 'half: precision=bf16 guidance.scale=2'"
        )
    source = f"--way {name.strip()}"
    return Layer(source, parse_overrides(words, source).values)
