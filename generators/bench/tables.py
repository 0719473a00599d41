"""Measurements as Markdown tables, printed and put into report/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ..records import files

write_option = click.option(
    "--write", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Write the tables to this file."
)


def markdown(head: str, rows: Sequence[Mapping[str, str]]) -> str:
    """Returns a table under a paragraph. rows: cells by column; a cell that a row lacks is empty."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([row.get(column, "") for column in columns] for row in rows)]
    lines = [f"| {' | '.join(line)} |" for line in cells]
    return "\n".join([head, "", lines[0], "|---" * len(columns) + "|", *lines[1:]])


def put(page: Path, name: str, text: str) -> None:
    """Replaces the text between the page's markers of that name. Raises click.ClickException if a marker is missing."""
    whole, begin, end = page.read_text(encoding="utf-8"), f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if begin not in whole or end not in whole:
        raise click.ClickException(
            f"{page}: has no lines {begin.strip()} and {end}; put them where the table should go"
        )
    before, rest = whole.split(begin, 1)
    files.write(page, f"{before}{begin}{text}\n{end}{rest.split(end, 1)[1]}")
