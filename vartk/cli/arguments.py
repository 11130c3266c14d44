"""Arguments that several commands share, and how their help looks."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from vartk_registry import UnknownName, VartkError


class Help(argparse.RawDescriptionHelpFormatter):
    """Help whose examples keep their lines."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)
        self._action_max_length = 15  # argparse measures sub-commands without their indent


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument(
        "--json", action="store_true", help="print the result as one JSON object in the last line"
    )


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    """Add `key=value` arguments, which may stand anywhere after the first ones."""
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help=f"settings, such as {example}"
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data."""
    parser.add_argument(
        "--data",
        metavar="CONFIG",
        help="a preset, YAML file or run that names the dataset; by default the run that trained the model, "
        "or the preset with its name",
    )


def add_classes(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --class."""
    parser.add_argument(
        "--class",
        dest="classes",
        action="append",
        metavar="A,B",
        help=f"class indices or names, used in turn; you can repeat the option; {default}",
    )


def add_draws(parser: argparse.ArgumentParser, count: str) -> None:
    """Add --count, whose default `count` describes, and --seed."""
    parser.add_argument(
        "--count",
        type=whole_number(1, 10**9),
        metavar="N",
        help=f"number of images (default: {count})",
    )
    add_seed(parser, "seed of the first image; each further image adds 1 (default: 0)")


def add_seed(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --seed."""
    parser.add_argument("--seed", type=whole_number(0, 2**32 - 1), default=0, metavar="S", help=what)


def add_prompts(parser: argparse.ArgumentParser) -> None:
    """Add --prompt and --prompts."""
    parser.add_argument(
        "--prompt",
        dest="prompts",
        action="append",
        metavar="TEXT",
        help="a prompt, for models that draw texts; in braces, texts with weights, as in "
        "'{a cat: 2, a dog: 1}'; you can repeat the option",
    )
    parser.add_argument(
        "--prompts", dest="prompts_file", type=Path, metavar="FILE", help="a text file with a prompt a line"
    )


def add_negative(parser: argparse.ArgumentParser) -> None:
    """Add --negative-prompt."""
    parser.add_argument(
        "--negative-prompt", dest="negative", metavar="TEXT", help="what the images are not to show"
    )


def add_size(parser: argparse.ArgumentParser, key: str = "size=[H,W]") -> None:
    """Add --size, which is the same as a key."""
    parser.add_argument(
        "--size",
        type=_size,
        metavar="WxH",
        help="width x height of the images in pixels, or the side of a square; the model's own by default. "
        f"{key} is the same",
    )


def _size(text: str) -> list[int]:
    """Return the height and the width."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size; give width x height in pixels, as in 96x64, or the side of a square"
        )
    return [int(sides[-1]), int(sides[0])]


def prompts_of(texts: Sequence[str] | None, file: Path | None) -> list[str]:
    """Return the prompts of all --prompt, then those of a file; lines that begin with # are none.

    Raises:
        VartkError: the file cannot be read, or has no prompt.
    """
    found = list(texts or ())
    if file is not None:
        try:
            lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise VartkError(f"--prompts {file} cannot be read as text: {error}") from error
        if not (read := [line for line in lines if line and not line.startswith("#")]):
            raise VartkError(f"--prompts {file} has no prompt; write one a line")
        found += read
    return found


def class_labels(texts: Sequence[str] | None, classes: Sequence[str]) -> list[str]:
    """Return the classes that all --class name; a name may have commas of its own."""
    found: list[str] = []
    for text in texts or ():
        # a model of prompts has no classes
        labels = [text] if text in classes or not classes else [label.strip() for label in text.split(",")]
        if not all(labels):
            raise VartkError(f"--class {text!r} names no class; give indices or names, as in --class 0,1")
        found += labels
    return found


def labels_for(model: Any, texts: Sequence[str] | None, prompts: Sequence[str]) -> list[Any]:
    """Return what --class and the prompts ask of a model: classes, prompts, or pairs of both in turn.

    Raises:
        VartkError: there are prompts, and the model draws classes; errors of `class_labels`.
    """
    classes = class_labels(texts, model.classes)
    if model.takes != "both":
        if prompts and model.takes != "caption":
            raise VartkError("this model draws classes, not prompts; give --class, or leave --prompt out")
        return [*prompts, *classes]
    count = max(len(classes), len(prompts))
    ends = [[own[i % len(own)] if own else None for i in range(count)] for own in (classes, prompts)]
    return list(zip(*ends, strict=True))


def chosen(what: str, text: str | None, known: Collection[str]) -> list[str]:
    """Return the names of a list A,B, each once; none where no list is given.

    Raises:
        VartkError: the list is empty, or one of them is not known.
    """
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    if text is not None and not names:
        raise VartkError(f"no {what} is named in {text!r}; give some of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UnknownName(what, name, known)
    return list(dict.fromkeys(names))


def add_out(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --out, a folder that must not exist."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=what)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:N; auto takes the GPU if there is one (default: auto)",
    )


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return the type of an argument that is a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        if text.isascii() and text.isdecimal() and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")

    return parse


def examples(parser: argparse.ArgumentParser, *lines: str) -> None:
    """End the help with command lines that run."""
    parser.formatter_class = Help
    parser.epilog = "examples:\n" + "\n".join(f"  {line}" for line in lines)
