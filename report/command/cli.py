"""The console command `report`. Subcommands import their dependencies when they run, so that `--help` is fast."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..problems import USUAL, some
from . import picture_verbs
from .options import ROOT, Verbs, drawing_options, model_option, without_option

if TYPE_CHECKING:
    from .unchanged import Unchanged


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="diffusion-report")
def main() -> None:
    """Draw the figures of the report on diffusion models, and build its page."""


@main.command("all")
@drawing_options
def all_sections(model: str, workers: int, executor: Path | None) -> None:
    """Draw every section that is stale, then build the page."""
    _draw(model, workers, executor)


@main.command()
@click.argument("ids", nargs=-1)
@model_option
def doctor(ids: tuple[str, ...], model: str) -> None:
    """Report what drawing the sections IDS (none: all) needs, what this machine has, and any obstacles.

    Draws nothing. Exit status 0: drawing can begin; 1: there are obstacles.
    """
    from generators.running.run import examine

    lines, refusals = examine(model, ids)
    for line in lines:
        click.echo(line)
    _refuse(refusals)
    click.echo("There are no obstacles.")


@main.command()
@click.argument("ids", nargs=-1, required=True)
@click.option("--again", is_flag=True, help="Draw sections even if they are up to date.")
@drawing_options
def section(ids: tuple[str, ...], again: bool, model: str, workers: int, executor: Path | None) -> None:
    """Draw the sections IDS, such as 1.8, if they are stale, then build the page."""
    _draw(model, workers, executor, ids, again)


@main.command()
@click.option("--section", "ids", multiple=True, metavar="ID", help="Only this section, such as 1.8; may be repeated.")
@click.option(
    "--sample", default=0, type=click.IntRange(min=0), metavar="N", help="Only N of the sections, chosen at random."
)
@model_option
def verify(ids: tuple[str, ...], sample: int, model: str) -> None:
    """Draw published sections again, compare the pixels, and add the result to the page.

    What was drawn here since and agrees with the page counts as drawn again. Exit status 0: all panels are identical or
    within rounding; 1: some differ.
    """
    from ..publishing.verify import verify as run
    from ..records.agreement import Outcome
    from .progress import Progress
    from .unchanged import Unchanged

    begun = Unchanged(ROOT, model)
    with Progress() as progress:
        found = run(ROOT, model, ids, sample, progress)
    everything = sum(found.values(), Outcome())
    for name, outcome in {**found, "all": everything}.items():
        click.echo(f"{name:6} {outcome}")
    _build(begun)
    sys.exit(bool(everything.differ))


@main.command()
@click.option(
    "--accept",
    multiple=True,
    metavar="FIGURE",
    help="The outdated observations of this figure, or the one at a place such as part_0.md:6, hold for the pictures "
    "of now; may be repeated.",
)
@click.option("--start", is_flag=True, help="Start an empty observation for each figure that has none.")
@model_option
def observe(accept: tuple[str, ...], start: bool, model: str) -> None:
    """Go through the observations whose pictures changed, with the files of the pictures; ask in a terminal.

    Exit status 0: all observations hold; 1: some are outdated or empty.
    """
    from .observe import observe as run

    sys.exit(run(ROOT, model, accept, start))


@main.command()
@without_option
@model_option
def check(without: bool, model: str) -> None:
    """Check that the site is complete, matches its records and prose, and is verified. Never samples."""
    from ..publishing.check import publishing_problems

    _refuse(publishing_problems(ROOT, model, without))
    click.echo("The site matches its records and prose, and every section is verified.")


@main.command()
@click.option("--remote", default="origin", show_default=True, help="A remote of this repository, or a URL.")
@click.option("--branch", default="gh-pages", show_default=True, help="The branch that the host serves.")
@click.option("--push", is_flag=True, help="Push; without it, only list the changes.")
@without_option
@model_option
def publish(remote: str, branch: str, push: bool, without: bool, model: str) -> None:
    """Publish site/ to a branch of a remote, if it is committed, up to date and verified."""
    from ..publishing import publish as publishing

    _refuse(publishing.refusals(ROOT, model, without))
    planned = publishing.plan(ROOT, remote, branch, model)
    click.echo(planned.summary())
    if planned.changes and push:
        click.echo(f"pushed {publishing.push(ROOT, planned)[:12]}")
    elif planned.changes:
        make = "make publish PUSH=1" + ("" if model == USUAL else f" MODEL={model}")
        click.echo(f"Nothing was pushed. To publish, run `{make}`, or the same command with --push.")


@main.command()
@model_option
def site(model: str) -> None:
    """Build the page from the records. Never samples."""
    from .unchanged import Unchanged

    _build(Unchanged(ROOT, model))


@main.command()
@click.option(
    "--port", default=8042, type=click.IntRange(0, 65535), show_default=True, help="The port on this machine."
)
@model_option
def serve(port: int, model: str) -> None:
    """Serve the page at http://localhost:PORT and rebuild it when prose, templates or records change."""
    from .serve import serve as run
    from .unchanged import Unchanged

    begun = Unchanged(ROOT, model)
    run(ROOT, port, model, rebuild=lambda: _build(begun))


@main.command()
@model_option
def status(model: str) -> None:
    """List every section as up to date, or say why it is stale."""
    from ..publishing.status import statuses

    for section_id, text in statuses(ROOT, model).items():
        click.echo(f"{section_id:6} {text}")


@main.command()
def words() -> None:
    """List the words that pocket has learned: things, styles and places. Of other things it draws something else."""
    from generators.models.pocket.words import listing

    for line in listing():
        click.echo(line)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def new(folder: Path) -> None:
    """Start a report of your own in FOLDER: the code, questions instead of observations, and one commit."""
    from ..publishing.new import new as run

    click.echo(f"{run(ROOT, folder)}: write what is yours into report/report.toml there, then run `make report`")


@main.command()
def clean() -> None:
    """Remove the drawn sections of all models (.report/); the published page in site/ stays."""
    import shutil

    shutil.rmtree(ROOT / ".report", ignore_errors=True)


def _draw(model: str, workers: int, executor: Path | None, ids: tuple[str, ...] = (), again: bool = False) -> None:
    """Draws the sections that are stale, of all or of these, and builds the page."""
    from .unchanged import Unchanged

    if executor and workers > 1:
        raise click.UsageError("--workers is for this machine; with --executor, the file sets the number of workers")
    begun = Unchanged(ROOT, model)
    if not ids and begun.told(drawn=True) is not None:
        click.echo("All sections are up to date.")
        _build(begun)
        return

    from generators.running.run import draw, in_process
    from generators.running.workers import in_parsl, in_workers

    from ..publishing.expectations import check
    from .progress import Progress

    backend = in_parsl(executor) if executor else in_workers(workers) if workers > 1 else in_process
    with Progress(workers) as progress:
        count = draw(ROOT, model, ids, again, progress, backend, partial(check, ROOT, model))
    if not count:
        click.echo("All requested sections are up to date." if ids else "All sections are up to date.")
    if ids and (missing := _missing(model)):
        from ..page.builder import build_drawn

        click.echo(f"{model} has no page of the report, for it has not drawn {some(missing)}; what it has drawn is on:")
        click.echo(build_drawn(ROOT, model, partial(click.echo, err=True)))
    else:
        _build(begun, drawn=not ids)


def _missing(model: str) -> list[str]:
    """Returns the sections that a page of this model would lack; none if the published page is this model's."""
    from generators.running import staleness

    from ..problems import Problems
    from ..records.drawn import load

    if load(ROOT, model, ROOT / "site", Problems(ROOT), drawn_here=False):
        return []
    drawn = {record.id for record in load(ROOT, model, ROOT / "site", Problems(ROOT))}
    return [section_id for section_id in staleness.sections() if section_id not in drawn]


def _refuse(problems: list[str]) -> None:
    """Prints the problems, one line each, and exits with status 1; returns if there are none."""
    for line in problems:
        click.echo(f"report: {line}", err=True)
    if problems:
        sys.exit(1)


def _build(begun: Unchanged, drawn: bool = False) -> None:
    """Builds the page, unless nothing that it depends on has changed. begun: taken at the start of the command. drawn:
    whether all sections are up to date."""
    page = ROOT / "site" / "index.html"
    if (lines := begun.told(drawn)) is not None:
        _say(lines)
        click.echo(f"{page}  (unchanged)")
        return

    from generators.settings import read

    from ..page import citation
    from ..page.builder import build
    from ..publishing.status import stale

    notices: list[str] = []
    began, state = time.perf_counter(), begun.state()
    build(ROOT, begun.model, tell=notices.append, news=click.echo)
    citation.update(ROOT, read(ROOT / "report" / "report.toml"))
    notices += stale(ROOT, begun.model)
    _say(notices)
    click.echo(f"{page}  (built in {time.perf_counter() - began:.2f} s)")
    begun.keep(state, notices, drawn)


def _say(notices: list[str]) -> None:
    for line in notices:
        click.echo(line, err=True)


for verb in picture_verbs.VERBS:
    main.add_command(verb)
