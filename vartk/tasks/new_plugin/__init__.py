"""Writing a new plugin: a small complete distribution, of a template for each kind."""

from .write import new_plugin

__all__ = ["new_plugin"]
