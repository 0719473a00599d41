"""`report observe`: goes through the observations whose pictures changed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from generators.records.errors import ObservationError

from ..page.reconcile import reconcile
from ..page.report_page import ReportPage
from ..problems import Problems, run
from ..prose import observations
from ..prose.observations import Observation


def read(root: Path, model: str) -> ReportPage:
    """Reads the records and the prose. Raises BuildError if the page could not be built for them."""
    problems = Problems(root)
    shown = reconcile(root, model, root / "site", problems)
    page = ReportPage(root, model, root / "site", problems, [each.record for each in shown], {})
    problems.check()
    return page


def accept(page: ReportPage, wanted: Sequence[str]) -> None:
    """Binds outdated observations to what the page shows. wanted: ids of figures, or places such as part_0.md:6.

    Raises ObservationError if one of them is not outdated, or names several alternatives.
    """
    outdated, chosen = page.outdated, []
    for what in wanted:
        found = [each for each in outdated if what in (*each.figures, _place(each), f"report/writeup/{_place(each)}")]
        if not found:
            known = ", ".join(map(_place, outdated)) or "none"
            raise ObservationError(f"no outdated observation of {what}; outdated: {known}")
        for group in page.alternatives:
            if len(rivals := [each for each in group if each in found]) > 1:
                places = " or ".join(map(_place, rivals))
                raise ObservationError(f"{what} has several observations, one beside the other; accept {places}")
        chosen += found
    for each in outdated:
        if each in chosen:
            _bind(each)


def start(page: ReportPage) -> None:
    """Starts an empty observation for each figure about which nothing is written that holds."""
    for figure in page.figures.values():
        if page.observed(figure.id) or any(figure.id in found.figures for found in page.empty):
            continue
        placing = (prose.path for prose in page.prose.values() if figure.id in [name for _, name in prose.figures])
        default = page.root / "report" / "writeup" / f"part_{figure.section.replace('.', '_')}.md"
        path = next(placing, default)
        observations.start(path, figure.id, page.directives.digest(figure.id))
        click.echo(f"{path.name}: an empty observation of {figure.id}")


def go_through(page: ReportPage, ask: bool) -> bool:
    """Shows every outdated observation with the files of its pictures; returns whether some are left.

    ask: whether to let the author edit it, or keep it as it is, and then to bind it to these pictures.
    """
    left = False
    for found in page.outdated:
        click.echo(f"{found.path.relative_to(page.root)}:{found.first}: {found.why}")
        click.echo("\n".join(f"    {line}" for line in found.text if line.strip()))
        for path in _pictures(page, found):
            click.echo(f"  {path}")
        answer = "skip"
        if ask:
            choice = click.Choice(["edit", "keep", "skip"])
            answer = click.prompt("Edit it, keep it for these pictures, or skip it?", type=choice, default="skip")
        text = "\n".join(found.text)
        edited = click.edit(text, extension=".md") if answer == "edit" else None
        if answer == "keep" or edited is not None:
            grown = _bind(found, edited)
            for below in page.outdated:
                if below.path == found.path and below.first > found.first:
                    below.first, below.last = below.first + grown, below.last + grown
        else:
            left = True
    for found in page.empty:
        click.echo(
            f"{found.path.relative_to(page.root)}:{found.first}: an empty observation of {', '.join(found.targets)}"
        )
        left = True
    return left


def _bind(found: Observation, text: str | None = None) -> int:
    grown = observations.accept(found, text)
    click.echo(f"{_place(found)}: bound to {observations.header(found.targets, found.now).partition(' | ')[2]}")
    return grown


def _place(found: Observation) -> str:
    return f"{found.path.name}:{found.first}"


def _pictures(page: ReportPage, found: Observation) -> list[Path]:
    """Returns the files of the pictures that an observation names, as drawn here or as published."""
    paths = []
    for target, now in zip(found.targets, found.now, strict=True):
        for picture in page.directives.pictures(target) if now else ():
            folder = picture.record.folder
            paths.append(folder / picture.panel.file if folder else picture.site / picture.forms[-1].path)
    return [path.relative_to(page.root) for path in dict.fromkeys(paths)]


def observe(root: Path, model: str, wanted: Sequence[str], started: bool) -> bool:
    """Does what the verb asks for; returns whether outdated or empty observations are left."""
    if wanted:
        accept(read(root, model), wanted)
    if started:
        start(read(root, model))
    page = read(root, model)
    left = go_through(page, ask=not wanted and not started and sys.stdin.isatty())
    if left:
        click.echo(f"After an edit, {run('observe --accept FIGURE', model)}, or give its place, as in part_0.md:6.")
    return left
