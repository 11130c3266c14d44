"""How results are shown, whatever the benchmark: tables, and a Markdown file to keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from ..environment import environment


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under headings; the title is empty where a result has one table alone."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a benchmark shows.

    Args:
        benchmark: its name, as it is typed after `vartk bench`.
        protocol: what was measured and how, in a few sentences.
        tables: the numbers.
    """

    benchmark: str
    protocol: str
    tables: Sequence[Table]


def markdown(report: Report, command: str) -> str:
    """Return a page with the command, the tables and the machine."""
    tables = "".join(
        f"## {table.title}\n\n{markdown_table(table.headings, table.rows)}\n"
        if table.title
        else f"{markdown_table(table.headings, table.rows)}\n"
        for table in report.tables
    )
    return (
        f"# vartk bench {report.benchmark}\n\n```bash\n{command}\n```\n\n"
        f"{date.today().isoformat()}. {report.protocol}\n\n"
        f"{tables}## Machine\n\n{markdown_table(('what', 'value'), environment())}"
    )


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells under headings."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
