"""The hooks a plugin may implement; each is optional, and each runs without importing torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

from .spec import CommandSpec, ComponentSpec, PresetSpec

if TYPE_CHECKING:
    from .registry import Registry

PROJECT = "vartk"
ENTRY_POINTS = "vartk.plugins"
"""The entry point group that installed plugins announce themselves in."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """The hook specifications."""

    @hookspec
    def vartk_components(self) -> Iterable[ComponentSpec]:
        """Return the components that the plugin offers."""
        raise NotImplementedError

    @hookspec
    def vartk_presets(self) -> Iterable[PresetSpec]:
        """Return named configuration files."""
        raise NotImplementedError

    @hookspec
    def vartk_commands(self) -> Iterable[CommandSpec]:
        """Return sub-commands for the `vartk` command."""
        raise NotImplementedError

    @hookspec
    def vartk_environment(self) -> Iterable[tuple[str, str]]:
        """Return (what, value) lines for `vartk env`: versions, devices, what is usable or not."""
        raise NotImplementedError

    @hookspec
    def vartk_check(self, config: dict[str, Any], registry: Registry) -> Iterable[str]:
        """Return what is wrong with a composed configuration, one sentence a problem.

        `config` is the plain resolved mapping. It runs after every key and parameter has been
        checked on its own, for what only the combination shows.
        """
        raise NotImplementedError
