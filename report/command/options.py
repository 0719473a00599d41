"""Shared by the subcommands: the model option, the drawing options, and one-line errors."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path

import click

from generators.records.errors import ModelError, ReportError
from generators.records.texts import MODELS

from ..problems import USUAL

ROOT = Path(__file__).parents[2]
OS_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space and run the same command again"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it writable and run the same command again"),
}


def _known_model(context: click.Context, option: click.Parameter, name: str) -> str:
    """Rejects an unknown model before anything is done for it. Raises ModelError."""
    if name not in MODELS:
        raise ModelError(f"model {name!r}: choose one of {', '.join(MODELS)}")
    return name


model_option = click.option(
    "--model",
    default=USUAL,
    show_default=True,
    callback=_known_model,
    help="The model: pocket (included), deepfloyd, or the smaller deepfloyd-l and deepfloyd-m.",
)


without_option = click.option(
    "--without", is_flag=True, help="Also without the observations that are missing, empty or outdated."
)


class Filled(click.Option):
    """An option whose help names the seed of report/report.toml, which is read when the help is shown."""

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        from generators.settings import MINE

        self.help = (self.help or "").format(seed=MINE.seed)
        return super().get_help_record(context)


def drawing_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Adds the options for the model, the workers and the executor."""
    workers = click.option(
        "--workers",
        default=1,
        type=click.IntRange(min=1),
        show_default=True,
        help="Draw sections in N processes, each with its own GPU if available.",
        metavar="N",
    )
    executor = click.option(
        "--executor",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Draw sections with Parsl, for example on Slurm, using the `config` in this Python file.",
    )
    return model_option(workers(executor(verb)))


class Verbs(click.Group):
    """Subcommands that report errors which the user can correct, including OSError, in one line with exit status 1;
    Ctrl-C with 130."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except ReportError as error:
            wrong, status = str(error), 1
        except BrokenPipeError:
            raise  # the reader of the pipe has exited; click then exits silently
        except OSError as error:
            advice = OS_ADVICE.get(error.errno or 0, "correct this and run the same command again")
            where = f"{error.filename}: " if error.filename else ""
            wrong, status = f"{where}{error.strerror or error}; {advice}; finished work is kept", 1
        except KeyboardInterrupt:
            wrong, status = "stopped; finished work is kept, run the same command to continue", 130
        click.echo(f"report: {wrong}", err=True)
        sys.exit(status)
