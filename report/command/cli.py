"""The one console command, `report`. Verbs import what they need when they run, so that `--help` answers at once."""

from __future__ import annotations

import errno
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[2]
OS_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space, and run the same command again"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it writable, and run the same command again"),
}

model_option = click.option(
    "--model",
    default="pocket",
    show_default=True,
    help="Which model draws: pocket (ships here), deepfloyd, or the smaller deepfloyd-l and deepfloyd-m.",
)


def drawing_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Which model draws, and who else helps."""
    workers = click.option(
        "--workers",
        default=1,
        type=click.IntRange(min=1),
        show_default=True,
        help="Draw sections in N processes, each with its own GPU if there are any.",
        metavar="N",
    )
    executor = click.option(
        "--executor",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Draw sections with Parsl, on Slurm say, as the `config` in this Python file tells.",
    )
    return model_option(workers(executor(verb)))


def one_line_errors(verb: Callable[..., None]) -> Callable[..., None]:
    """Errors that the user can mend, the disk's included, become one line and exit status 1; Ctrl-C becomes 130."""

    @functools.wraps(verb)
    def guarded(*args: Any, **kwargs: Any) -> None:
        from generators.figures import DeclarationError
        from generators.inputs import InputError
        from generators.models import ModelError
        from generators.running.drawing import DrawingError
        from generators.running.staleness import SectionError
        from generators.running.workers import WorkerError

        from ..basics.problems import BuildError, PublishError, VerifyError

        known = (
            BuildError,
            DeclarationError,
            DrawingError,
            InputError,
            ModelError,
            PublishError,
            SectionError,
            VerifyError,
            WorkerError,
        )

        try:
            verb(*args, **kwargs)
        except known as error:
            click.echo(f"report: {error}", err=True)
            sys.exit(1)
        except BrokenPipeError:
            raise  # whoever read along has gone; click ends quietly
        except OSError as error:
            advice = OS_ADVICE.get(error.errno or 0, "see to it, and run the same command again")
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"report: {where}{error.strerror or error}; {advice}; what was finished is kept", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo("report: stopped; what was finished is kept, run the same command to go on", err=True)
            sys.exit(130)

    return guarded


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="diffusion-report")
def main() -> None:
    """Draw the figures of the report on diffusion models, and build its page."""


@main.command("all")
@drawing_options
@one_line_errors
def all_sections(model: str, workers: int, executor: Path | None) -> None:
    """Draw every section that is stale, then build the page."""
    _draw(model, workers, executor)
    _build(model)


@main.command()
@click.argument("ids", nargs=-1)
@model_option
@one_line_errors
def doctor(ids: tuple[str, ...], model: str) -> None:
    """Say what drawing the sections IDS (none: all) takes, what there is, and what is in the way; does nothing.

    Exit status 0: it can begin; 1: something is in the way.
    """
    from generators.running.run import examine

    lines, refusals = examine(model, ids)
    for line in lines:
        click.echo(line)
    _refuse(refusals)
    click.echo("Nothing is in the way.")


@main.command()
@click.argument("ids", nargs=-1, required=True)
@click.option("--again", is_flag=True, help="Draw even what is up to date.")
@drawing_options
@one_line_errors
def section(ids: tuple[str, ...], again: bool, model: str, workers: int, executor: Path | None) -> None:
    """Draw the sections IDS, such as 1.8, if they are stale, then build the page."""
    _draw(model, workers, executor, ids, again)
    _build(model)


@main.command()
@click.option("--section", "ids", multiple=True, metavar="ID", help="Only this section, such as 1.8; may be repeated.")
@click.option(
    "--sample", default=0, type=click.IntRange(min=0), metavar="N", help="Only N of the sections, picked by chance."
)
@model_option
@one_line_errors
def verify(ids: tuple[str, ...], sample: int, model: str) -> None:
    """Draw published sections again and compare the pixels; the page then shows the result.

    Exit status 0: all panels are identical or within tolerance; 1: some differ.
    """
    from ..publishing.verify import verify as run
    from ..records import verification
    from .progress import Progress

    with Progress() as progress:
        found = run(ROOT, model, ids, sample, progress)
    for section_id, of_section in found.items():
        click.echo(f"{section_id:6} {len(of_section)} panels: {verification.summary(of_section)}")
    everything = [result for of_section in found.values() for result in of_section]
    click.echo(f"{'all':6} {len(everything)} panels: {verification.summary(everything)}")
    _build(model)
    sys.exit(any(result.kind == verification.DIFFERS for result in everything))


@main.command()
@model_option
@one_line_errors
def check(model: str) -> None:
    """Check the site: whole, as its records and the prose give it, and verified. Never samples."""
    from ..publishing.check import unfit

    _refuse(unfit(ROOT, model))
    click.echo("The site is what its records and the prose give, and every section was verified.")


@main.command()
@click.option("--remote", default="origin", show_default=True, help="A remote of this repository, or an address.")
@click.option("--branch", default="gh-pages", show_default=True, help="The branch that is served.")
@click.option("--push", "sends", is_flag=True, help="Push; without it, only say what would go.")
@model_option
@one_line_errors
def publish(remote: str, branch: str, sends: bool, model: str) -> None:
    """Put site/ on a branch of a remote, if it is committed, fresh and verified."""
    from ..publishing import publish as publishing

    _refuse(publishing.refusals(ROOT, model))
    planned = publishing.plan(ROOT, remote, branch)
    click.echo(planned.summary())
    if planned.changes and sends:
        click.echo(f"pushed {publishing.push(ROOT, planned)[:12]}")
    elif planned.changes:
        click.echo("Nothing was sent. To publish: `make publish PUSH=1`, or the same command with --push.")


@main.command()
@model_option
@one_line_errors
def site(model: str) -> None:
    """Build the page from the records; never samples."""
    _build(model)


@main.command()
@click.option(
    "--port", default=8042, type=click.IntRange(0, 65535), show_default=True, help="Where to serve on this machine."
)
@model_option
@one_line_errors
def serve(port: int, model: str) -> None:
    """Show the page at http://localhost:PORT and rebuild it when prose, templates or records change."""
    from .serve import serve as run

    run(ROOT, port, rebuild=lambda: _build(model))


@main.command()
@model_option
@one_line_errors
def status(model: str) -> None:
    """Say for every section whether it holds or why it is stale."""
    from generators.running import staleness
    from generators.running.run import state_folder

    for section_id in staleness.sections():
        why = staleness.why_stale(state_folder(ROOT, model) / section_id, section_id, model)
        click.echo(f"{section_id:6} {why or 'up to date'}")


@main.command()
@one_line_errors
def clean() -> None:
    """Remove the drawn sections of all models (.report/); the published page in site/ stays."""
    import shutil

    shutil.rmtree(ROOT / ".report", ignore_errors=True)


def _draw(model: str, workers: int, executor: Path | None, ids: tuple[str, ...] = (), again: bool = False) -> None:
    from generators.running.run import draw, in_process
    from generators.running.workers import in_parsl, in_workers

    from .progress import Progress

    if executor and workers > 1:
        raise click.UsageError("--workers is for this machine; with --executor, its file says how many there are")
    backend = in_parsl(executor) if executor else in_workers(workers) if workers > 1 else in_process
    with Progress() as progress:
        count = draw(ROOT, model, ids, again, progress, backend)
    if not count:
        click.echo("All sections asked for are up to date." if ids else "All sections are up to date.")


def _refuse(problems: list[str]) -> None:
    """Say every problem, one line each, and end with exit status 1; go on where there is none."""
    for line in problems:
        click.echo(f"report: {line}", err=True)
    if problems:
        sys.exit(1)


def _build(model: str) -> None:
    from ..page.builder import build

    began = time.perf_counter()
    index = build(ROOT, model)
    click.echo(f"{index}  (built in {time.perf_counter() - began:.2f} s)")
