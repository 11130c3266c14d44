"""The contract between vartk and its plugins: small, stable, and importable without torch."""

from .classes import class_index
from .discovery import PluginReport, Plugins, discover
from .errors import (
    MissingRequirement,
    PluginError,
    UnknownName,
    Unsupported,
    VartkError,
    counted,
    refusal,
    require_reachable,
    shortened,
    shown,
    suggestion,
)
from .hooks import hookimpl, hookspec
from .kinds import KINDS, Kind
from .masks import MaskSpec
from .params import ParamErrors, param
from .registry import Registry
from .spec import API, CommandSpec, ComponentSpec, PresetSpec, Weights

__all__ = [
    "API",
    "KINDS",
    "CommandSpec",
    "ComponentSpec",
    "Kind",
    "MaskSpec",
    "MissingRequirement",
    "ParamErrors",
    "PluginError",
    "PluginReport",
    "Plugins",
    "PresetSpec",
    "Registry",
    "UnknownName",
    "Unsupported",
    "VartkError",
    "Weights",
    "class_index",
    "counted",
    "discover",
    "hookimpl",
    "hookspec",
    "param",
    "refusal",
    "require_reachable",
    "shortened",
    "shown",
    "suggestion",
]
