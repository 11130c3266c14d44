"""vartk: a plugin-based toolkit for visual autoregressive (next-scale) image models."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from vartk_registry import VartkError

if TYPE_CHECKING:
    from .engine.folder import save_model as save
    from .engine.model import Model
    from .engine.samples import Samples
    from .hub import load

try:
    __version__ = version("vartk")
except PackageNotFoundError:  # a bare checkout
    __version__ = "0.0.0"

__all__ = ["Model", "Samples", "VartkError", "__version__", "load", "save"]

_LAZY = {
    "load": ("vartk.hub", "load"),
    "save": ("vartk.engine.folder", "save_model"),
    "Model": ("vartk.engine.model", "Model"),
    "Samples": ("vartk.engine.samples", "Samples"),
}


def __getattr__(name: str) -> Any:
    """Import torch only with the first name that needs it; the command line starts without."""
    if name not in _LAZY:
        raise AttributeError(f"module 'vartk' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    """Return the public names, for completion and `help(vartk)`."""
    return sorted(__all__)
