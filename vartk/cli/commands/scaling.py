"""vartk scaling: power laws of trainings."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from .. import terminal
from ..arguments import add_json, add_out, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    fit = actions.add_parser(
        "fit",
        help="fit power laws to trainings of several sizes",
        description=(
            "Fit power laws of the loss and the token error, of all scales and of the last one, against\n"
            "parameters and against compute. Give the run folders of `vartk train transformer`."
        ),
    )
    fit.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder, or a JSON file of runs")
    fit.add_argument(
        "--irreducible",
        type=_term,
        default="fit",
        metavar="C",
        help="the term that no size removes: fit, or a number; 0 is the law of the paper (default: fit)",
    )
    add_out(fit, "the folder for the laws, the page and the plots")
    predict = actions.add_parser(
        "predict",
        help="extrapolate fitted laws",
        description="Extrapolate the laws that `vartk scaling fit` has fitted, with intervals.",
    )
    predict.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("scaling"),
        metavar="DIR",
        help="the folder of the laws (default: scaling)",
    )
    place = predict.add_mutually_exclusive_group(required=True)
    place.add_argument("--params", type=_positive, metavar="N", help="parameters of the transformer")
    place.add_argument("--compute", type=_positive, metavar="FLOP", help="operations of the training")
    for action, run in ((fit, run_fit), (predict, run_predict)):
        add_json(action)
        action.set_defaults(run=run)
    first = "vartk scaling fit runs/small runs/middle runs/large runs/largest --out scaling"
    second = "vartk scaling predict scaling --params 1e9"
    examples(parser, first, second)
    examples(fit, first, "vartk scaling fit runs/d4 runs/d6 runs/d8 --irreducible 0 --out laws")
    examples(predict, second, "vartk scaling predict --compute 1e20 --json")


def run_fit(arguments: argparse.Namespace) -> int:
    """Fit, and write the report."""
    from ...files import refuse_existing

    refuse_existing(arguments.out)
    from ...scaling import read_runs, tables, write_report
    from ...scaling.report import protocol, remarks

    given = None if arguments.irreducible == "fit" else arguments.irreducible
    words = ["vartk", "scaling", "fit", *map(str, arguments.runs)]
    words += ["--irreducible", str(arguments.irreducible), "--out", str(arguments.out)]
    result = write_report(read_runs(arguments.runs), given, arguments.out, shlex.join(words))
    terminal.note(f"report: {arguments.out / 'scaling.md'}")
    if arguments.json:
        terminal.result(result, as_json=True)
        return 0
    terminal.tables(tables(result))
    for line in remarks(result):
        terminal.out(line)
    terminal.out(protocol(result))
    return 0


def run_predict(arguments: argparse.Namespace) -> int:
    """Extrapolate."""
    from ...scaling import METRICS, predict
    from ...scaling.report import read_result

    runs, given = read_result(arguments.folder)
    axis, x = ("parameters", arguments.params) if arguments.params else ("compute", arguments.compute)
    made = predict(runs, given, axis, x)
    if arguments.json:
        terminal.result({axis: x, "predicted": made}, as_json=True)
        return 0
    rows = [
        (METRICS[metric], f"{found['value']:.4g}", "{:.4g} to {:.4g}".format(*found["interval"]))
        for metric, found in made.items()
    ]
    terminal.table(rows, (f"at {x:g} {axis}", "value", "95 % interval"))
    for metric, found in made.items():
        for doubt in found["doubts"]:
            terminal.out(f"{METRICS[metric]}: {doubt}.")
    return 0


def _term(text: str) -> float | str:
    if text == "fit":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 <= value < float("inf"):
        return value
    raise argparse.ArgumentTypeError(f"{text!r} is no irreducible term; give fit, or a number such as 0")


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0 < value < float("inf"):
        return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive number, such as 1e9")
