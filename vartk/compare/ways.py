"""The ways of a comparison, and how they are read from what was typed."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vartk_registry import VartkError

from ..config import Layer, SamplingConfig, parse_overrides, plain
from ..engine.collaborative import hand_over
from ..engine.model import Model
from ..files import file_name
from ..hub import load
from .sampling import configured

Settings = dict[str, Any]
"""All keys of the sampling configuration, nested."""

FULL = "full"
"""The cache of the first way where none is named."""

_NAME = re.compile(r"\w[\w.+-]*")


@dataclass(frozen=True, slots=True)
class Refiner:
    """The model that a way goes over to (collaborative decoding).

    Attributes:
        name: what it was opened by.
        draft: the scales that are drawn before.
        sampling: its settings, which are its own where the way has none.
    """

    name: str
    model: Model
    draft: int
    sampling: SamplingConfig

    @property
    def settings(self) -> Settings:
        """Which model, after how many scales, and every setting."""
        return {"model": self.name, "draft": self.draft, "sampling": plain(self.sampling)}


@dataclass(frozen=True, slots=True)
class Way:
    """A way to sample, by its name on screen and in files."""

    name: str
    sampling: SamplingConfig
    refiner: Refiner | None = None

    @property
    def settings(self) -> Settings:
        """Every setting."""
        return plain(self.sampling)


def parse_ways(
    model: Model,
    shared: Layer,
    caches: str | None,
    ways: Sequence[str],
    open_refiner: Callable[[str], Model] = load,
) -> list[Way]:
    """Return the ways that were asked for, all of them checked.

    Args:
        shared: settings of sampling that all ways have.
        caches: cache strategies as a YAML list without its brackets; a way for each: a name, a chain of
            names in brackets, or a name with parameters as a mapping. None is `full` alone.
        ways: "NAME: key=value ..." each, settings beside those of the first way, and `refiner=MODEL draft=N`
            for another model that draws the scales after the first N.
        open_refiner: opens such a model, once in this process.

    Raises:
        VartkError: a name or a setting is unknown or out of range; a refiner does not fit; or two ways have
            one name.
    """
    if "cache" in shared.values:
        raise VartkError(
            "the caches are named by --cache A,B here, and by --way 'NAME: cache=A cache.KEY=VALUE'"
        )
    asked = _caches(FULL if caches is None else caches)
    named = {name: [Layer(f"--cache {name}", {"cache": chosen})] for name, chosen in asked}
    first = next(iter(named.values()))
    opened = functools.cache(open_refiner)  # each of them once
    found = [_built(model, name, [shared, *own]) for name, own in named.items()]
    for own, refiner, draft in map(_way, ways):
        name = own.source.removeprefix("--way ")
        found.append(_built(model, name, [shared, *first, own], refiner, draft, opened))
    files = [file_name(way.name).lower() for way in found]
    for index, way in enumerate(found):
        if files[index] in files[:index]:
            raise VartkError(f"two ways are called {way.name}; give each a name of its own")
        if way.sampling.batch != found[0].sampling.batch:
            raise VartkError(f"{way.name}: batch={way.sampling.batch} differs; all ways have one, by --batch")
    return found


def _built(
    model: Model,
    name: str,
    layers: Sequence[Layer],
    refiner: str | None = None,
    draft: int | None = None,
    opened: Callable[[str], Model] = load,
) -> Way:
    """Return a way whose parts can be built here, and whose models fit."""
    sampling = model.merged_sampling(*layers)
    try:
        model.recipe(sampling, [0])
        other = None if refiner is None else opened(refiner)
        theirs = None if other is None else configured(other, other.merged_sampling(*layers))
        handover = hand_over(configured(model, sampling), theirs, draft, {})
    except VartkError as error:
        raise VartkError(f"{name}: {error}") from error
    if refiner is None or other is None or handover is None:
        return Way(name, sampling)
    other.tokenizer = model.tokenizer  # its equal, which each batch would compare again
    return Way(name, sampling, Refiner(refiner, other, handover.draft, handover.sampling))


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


def _way(text: str) -> tuple[Layer, str | None, int | None]:
    """Return the settings of a --way, its refiner's name and the number of scales before that."""
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
    settings = dict(parse_overrides(words, source).values)
    refiner, draft = settings.pop("refiner", None), settings.pop("draft", None)
    if refiner is not None and not isinstance(refiner, str):
        raise VartkError(f"{source}: refiner={refiner!r} is no model; give a name, as in refiner=runs/small")
    if draft is not None and type(draft) is not int:  # true is an int, too
        raise VartkError(f"{source}: draft={draft!r} is no number of scales; give one, as in draft=5")
    return Layer(source, settings), refiner, draft
