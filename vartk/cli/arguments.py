"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument(
        "--json", action="store_true", help="print the result as one JSON object, the last line"
    )


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    """Add `key=value` arguments, which may stand anywhere after the first ones."""
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=f"settings, such as {example}")


def add_out(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --out, a folder that must not exist."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=what)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def examples(parser: argparse.ArgumentParser, *lines: str) -> None:
    """End the help with command lines that run."""
    parser.epilog = "examples:\n" + "\n".join(f"  {line}" for line in lines)
