"""vartk compare with --system: whole models side by side."""

from __future__ import annotations

import argparse

from vartk_registry import VartkError

from ... import terminal
from .words import command, labels_of


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the tables, and write the report and the picture."""
    if arguments.ways or arguments.cache or arguments.published:
        raise VartkError("--system compares whole models; leave --way, --cache and --published out")
    labels = labels_of(arguments)
    terminal.note(f"loading {arguments.model} and {len(arguments.systems)} more")
    from ....compare.systems import Contest, parse_systems, protocol, tables, write_systems
    from ....config import parse_overrides
    from ....evaluation.data import KEYS
    from ....files import refuse_existing
    from ...progress import bars

    refuse_existing(arguments.out)
    chosen = [word for word in arguments.overrides if word.partition("=")[0].partition(".")[0] in KEYS]
    of_sampling = [word for word in arguments.overrides if word not in chosen]
    systems = parse_systems(arguments.model, of_sampling, arguments.systems, arguments.device)
    with bars() as add_bar:
        contest = Contest(systems, arguments.seed, add_bar)
        contest.choose(
            labels(contest.models[0]),
            arguments.count,
            arguments.batch,
            arguments.references,
            data=arguments.data,
            chosen=parse_overrides(chosen).values,
            note=terminal.note,
        )
        numbers = contest.measure()
    result = {"command": command(arguments), **numbers}
    write_systems(contest, result, arguments.out)
    terminal.note(f"report: {arguments.out / 'compare.md'}")
    if arguments.json:
        terminal.result(result, as_json=True)
        return 0
    terminal.tables(tables(result))
    if result["left_out"]:
        terminal.out(f"distances between sets of images left out: {result['left_out']}")
    terminal.out(protocol(result))
    return 0
