"""How results are shown, whatever the benchmark: tables, and a Markdown file to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ..environment import environment
from ..tables import Table, markdown_table


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
