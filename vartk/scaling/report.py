"""How scaling laws are shown: tables, one JSON object, a Markdown page and its plots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vartk_registry import VartkError, counted

from ..files import whole_folder
from ..tables import Table, markdown_table
from .fitting import AXES, Laws, fit_runs
from .plot import plot
from .runs import METRICS, ScalingRun, as_json, of_json

RESULT = "scaling.json"
PAGE = "scaling.md"
PLOT = "scaling.svg"

PAPER = (
    "The VAR paper (arXiv 2404.02905) fits its laws without an irreducible term, and reports the exponents "
    "-0.20 (mean loss) and -0.23 (last scale) against parameters, and Pearson coefficients of about -0.998."
)


def as_result(runs: Sequence[ScalingRun], irreducible: float | None, laws: Laws) -> dict[str, Any]:
    """Return the laws and what they were fitted to, ready for JSON."""
    return {
        "irreducible": "fitted" if irreducible is None else irreducible,
        "laws": [
            {
                "metric": metric,
                "axis": axis,
                "points": len(law.x),
                "scale": law.scale,
                "exponent": law.exponent,
                "exponent_interval": list(law.exponent_interval),
                "irreducible": law.irreducible,
                "irreducible_interval": list(law.irreducible_interval),
                "noise": law.noise,
                "pearson": law.pearson,
                "spearman": law.spearman,
                "doubts": law.doubts(),
            }
            for (metric, axis), law in laws.fitted.items()
        ],
        "refused": [
            {"metric": metric, "axis": axis, "why": why} for (metric, axis), why in laws.refused.items()
        ],
        "runs": as_json(runs),
    }


def read_result(folder: Path) -> tuple[list[ScalingRun], float | None]:
    """Return the runs and the irreducible term (None if it is fitted) that `write_report` has kept.

    Raises:
        VartkError: they are not there.
    """
    path = folder / RESULT
    try:
        kept = json.loads(path.read_text())
        given = kept["irreducible"]
        return of_json(kept["runs"]), None if given == "fitted" else float(given)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VartkError(
            f"{path} holds no scaling laws: {error!r}; make them with `vartk scaling fit RUNS... --out "
            f"{folder}`"
        ) from error


def tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the laws against each axis, and the runs."""
    headings = ("metric", "points", "exponent", "irreducible term", "Pearson", "Spearman", "noise")
    for axis, name in AXES.items():
        rows = [_row(law) for law in result["laws"] if law["axis"] == axis]
        if rows:
            yield Table(headings, rows, f"Against {name}")
    runs = [
        (
            run["name"],
            f"{run['parameters']:,}",
            f"{last['compute']:.3g}",
            *("-" if last[m] is None else f"{last[m]:.4f}" for m in METRICS),
        )
        for run in result["runs"]
        for last in run["validations"][-1:]
    ]
    yield Table(("run", "parameters", "FLOP", *METRICS.values()), runs, "Runs")


def remarks(result: Mapping[str, Any]) -> list[str]:
    """Return what the points cannot tell."""
    said = [(law, doubt) for law in result["laws"] for doubt in law["doubts"]]
    said += [(refused, refused["why"]) for refused in result["refused"]]
    return [f"{METRICS[of['metric']]} against {of['axis']}: {why}." for of, why in said]


def protocol(result: Mapping[str, Any]) -> str:
    """Return in a few sentences how the laws were fitted."""
    term = result["irreducible"]
    return (
        f"y = a x^b + c, fitted by least squares of log y to {counted(len(result['runs']), 'run')}; c is "
        f"{term if term == 'fitted' else f'given, {term:g}'}. The brackets hold 95 % intervals of a "
        "parametric bootstrap. Against parameters, the points are the last validations. Against compute, "
        "they are the compute-optimal envelope. These points are not independent, so their intervals are too "
        "narrow. Pearson's coefficient is that of log x and log (y - c), Spearman's that of ranks. The "
        f"noise is the standard deviation of log y around the law. {PAPER}"
    )


def write_report(
    runs: Sequence[ScalingRun], irreducible: float | None, out: Path, command: str
) -> dict[str, Any]:
    """Fit the laws, write JSON, the page and the plots as a new folder, and return the result."""
    laws = fit_runs(runs, irreducible)
    result = {"command": command, **as_result(runs, irreducible, laws)}
    with whole_folder(out) as aside:
        (aside / RESULT).write_text(json.dumps(result, indent=1))
        (aside / PLOT).write_text(plot(runs, laws))
        (aside / PAGE).write_text(_page(result))
    return result


def _page(result: Mapping[str, Any]) -> str:
    parts = [f"# Scaling laws\n\n```bash\n{result['command']}\n```\n\n{protocol(result)}\n"]
    parts += [f"## {table.title}\n\n{markdown_table(table.headings, table.rows)}" for table in tables(result)]
    if said := remarks(result):
        parts.append("## What these runs cannot tell\n\n" + "".join(f"- {line}\n" for line in said))
    parts.append(f"![the laws]({PLOT})\n")
    return "\n".join(parts)


def _row(law: Mapping[str, Any]) -> tuple[str, ...]:
    def of(value: float, interval: Sequence[float]) -> str:
        return f"{value:.3g} [{interval[0]:.3g}, {interval[1]:.3g}]"

    return (
        METRICS[law["metric"]],
        str(law["points"]),
        of(law["exponent"], law["exponent_interval"]),
        of(law["irreducible"], law["irreducible_interval"]),
        f"{law['pearson']:.4f}",
        f"{law['spearman']:.4f}",
        f"{law['noise']:.2%}",
    )
