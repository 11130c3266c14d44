"""vartk study: claims about models, measured."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from .. import terminal
from ..arguments import add_device, add_json, add_overrides, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Train and measure the systems of a study, and write a page with tables, plots, seeds and commands.\n"
        "The same command continues a study that was stopped. Without a name, the built-in ones are listed."
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a built-in study, or a YAML file")
    add_overrides(parser, "train.transformer.steps=100, for every system")
    forms = parser.add_mutually_exclusive_group()
    for form, help in (("quick", "the short form, in minutes"), ("large", "the large form, for a GPU")):
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form, default="", help=help)
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder for the runs, numbers and page")
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk study",
        "vartk study speed --quick --out speed",
        "vartk study scaling --quick --out scaling-study",
        "vartk study speed --large --out speed-gpu --device cuda",
        "vartk study mine.yaml --out mine",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry a study out, and write its page."""
    from vartk_registry import VartkError

    if arguments.name is None:
        from ...studies.study import built_in

        terminal.table(built_in().items(), ("study", "title"))
        return 0
    from ...studies import carry_out, read_study, tables, write_study
    from ..progress import TrainingBar, bars

    study = read_study(arguments.name, arguments.overrides, arguments.form)
    if arguments.out is None:
        raise VartkError(f"vartk study {arguments.name} needs a folder for its runs; add --out DIR")
    words = [
        "vartk",
        "study",
        arguments.name,
        *arguments.overrides,
        *[f"--{arguments.form}"] * bool(arguments.form),
    ]
    command = shlex.join([*words, "--out", str(arguments.out), "--device", arguments.device])
    try:
        with bars() as add_bar:
            made = carry_out(
                study,
                arguments.out,
                device=arguments.device,
                add_bar=add_bar,
                reporter=TrainingBar,
                note=terminal.note,
            )
    except KeyboardInterrupt:
        terminal.note(f"stopped; the same command goes on with what is in {arguments.out}")
        raise
    result = {"command": command, **made}
    write_study(result, arguments.out)
    terminal.note(f"report: {arguments.out / 'study.md'}")
    if arguments.json:
        terminal.result(result, as_json=True)
        return 0
    terminal.tables(tables(result))
    return 0
