"""The page: sample, in-paint, inspect and compare in a browser."""

from .page import build_page, serve

__all__ = ["build_page", "serve"]
