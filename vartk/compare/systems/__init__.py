"""Whole systems side by side: next-scale models, next-token models, diffusion transformers, pipelines."""

from .contest import Contest
from .report import protocol, tables, write_systems
from .system import System, parse_systems

__all__ = ["Contest", "System", "parse_systems", "protocol", "tables", "write_systems"]
