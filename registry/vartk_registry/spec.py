"""What a plugin registers: components, presets and commands, all described as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import PluginError, UnknownName
from .kinds import KINDS

if TYPE_CHECKING:
    import argparse

API = 1
"""The version of this contract; a component made for another one is refused."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_TARGET = re.compile(r"[\w.]+:\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSpec:
    """A component, described without importing it.

    Args:
        kind: one of `KINDS`.
        name: how configurations and the command line call it; lower case, digits and `_ . -`.
        target: "module:attribute", a callable that builds the component from keyword arguments.
        config: "module:Dataclass" with its parameters (see `param`); none means no parameters.
        summary: one line for `vartk list`.
        requires: modules that must be importable beyond vartk's own dependencies.
        install_hint: what to type where one of `requires` is missing.
        aliases: other names that find it.
        check_with: parameters that the conformance kit builds it with, if the defaults are incomplete,
            large, or reach out to the network.
        deprecated: what to use in its place, such as "take cache=recent"; its use then warns.
        api: the contract version it was made for.
    """

    kind: str
    name: str
    target: str
    summary: str
    config: str | None = None
    requires: tuple[str, ...] = ()
    install_hint: str = ""
    aliases: tuple[str, ...] = ()
    check_with: Mapping[str, Any] = field(default_factory=dict, hash=False)
    deprecated: str = ""
    api: int = API

    def __post_init__(self) -> None:
        where = f"component {self.kind}/{self.name}"
        if self.api != API:  # before all else: another contract may have other kinds and fields
            raise PluginError(
                f"{where} was made for contract {self.api}, this is contract {API}; "
                "install a release of the plugin that matches"
            )
        if self.kind not in KINDS:
            raise UnknownName(f"kind of {where}", self.kind, KINDS)
        for label, names in (("requires", self.requires), ("aliases", self.aliases)):
            if isinstance(names, str):  # it would be read letter by letter
                raise PluginError(f"{where}: {label} must be a tuple, such as ({names!r},)")
        for name in (self.name, *self.aliases):
            if not _NAME.fullmatch(name):
                raise PluginError(f"{where}: name {name!r} must be lower case, digits or _ . -")
        for label, target in (("target", self.target), ("config", self.config)):
            if target is not None and not _TARGET.fullmatch(target):
                raise PluginError(f"{where}: {label} {target!r} must read 'module:attribute'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where published weights lie: a Hugging Face repo, its files and the importer for them.

    A name without an ending is that of a folder of shards.

    `sha256` maps a file's name to its digest where it is known; other files are taken unchecked.
    """

    repo: str
    tokenizer: str
    transformer: str
    importer: str
    sha256: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetSpec:
    """A named configuration file, which `extends` and `vartk train` take by name.

    One whose only key is `sampling` is taken by `preset=NAME`, among settings of sampling.

    Where a trained model of it can be had, its name loads that: `model` is the folder of one that the
    distribution holds, `weights` says where one is published.
    """

    name: str
    path: Path
    summary: str
    weights: Weights | None = None
    model: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A sub-command of `vartk`: `configure` adds its arguments, `run` returns the exit code."""

    name: str
    summary: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
