"""The verbs that draw single pictures: into a PNG with a JSON record beside it, and never into the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..basics.problems import RequestError
from .options import ROOT, model_option, one_line_errors

if TYPE_CHECKING:
    from generators.figures import Figure

SEVERAL = click.IntRange(1, 16)

out_option = click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The PNG to write; without it, one in this folder that is named after what was asked for.",
)
view_option = click.option(
    "--view",
    "views",
    multiple=True,
    metavar="VIEW",
    help="Such as flip, rotate180, jigsaw; a wrong one is told which there are. flip if none is named.",
)


def sampling_options(verb: Callable[..., None]) -> Callable[..., None]:
    """How many samples, in how many steps, by which model, into which file."""
    count = click.option(
        "-k", "count", default=4, type=SEVERAL, show_default=True, help="How many samples, seeds 42 on."
    )
    stride = click.option(
        "--stride",
        default=30,
        type=click.IntRange(1, 333),
        show_default=True,
        help="From timestep to timestep: 30 takes 34 steps, 90 twelve.",
    )
    return count(stride(model_option(out_option(verb))))


@click.command()
@click.argument("prompt")
@sampling_options
@one_line_errors
def sample(prompt: str, count: int, stride: int, model: str, out: Path | None) -> None:
    """Draw samples of PROMPT."""
    from generators.running import single_figure

    _check(prompt)
    _draw("sample", lambda: single_figure.samples(prompt, count, stride), model, out, prompt)


@click.command()
@click.argument("prompts", nargs=-1, required=True)
@view_option
@sampling_options
@one_line_errors
def anagram(
    prompts: tuple[str, ...], views: tuple[str, ...], count: int, stride: int, model: str, out: Path | None
) -> None:
    """Draw pictures that are the first of PROMPTS as they are, and the others each through a view of its own."""
    from generators.running import single_figure

    _check(*prompts)
    views = views or ("flip",)
    if len(prompts) != len(views) + 1:
        raise RequestError(
            f"{len(prompts)} prompts and {len(views)} views: name a --view for each prompt after the first, in order"
        )
    _draw("anagram", lambda: single_figure.anagrams(prompts, views, count, stride), model, out, *prompts, *views)


@click.command()
@click.argument("far")
@click.argument("near")
@sampling_options
@one_line_errors
def hybrid(far: str, near: str, count: int, stride: int, model: str, out: Path | None) -> None:
    """Draw pictures that are FAR from afar and NEAR from near."""
    from generators.running import single_figure

    _check(far, near)
    _draw("hybrid", lambda: single_figure.hybrids(far, near, count, stride), model, out, far, near)


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("prompt")
@model_option
@out_option
@one_line_errors
def edit(image: Path, prompt: str, model: str, out: Path | None) -> None:
    """Noise the picture in the file IMAGE to the six levels of section 1.7, and let PROMPT lead it back."""
    from generators import inputs
    from generators.running import single_figure

    _check(prompt)
    inputs.read(image)  # refused before a model is loaded
    _draw("edit", lambda: single_figure.edits(image, prompt), model, out, image.stem, prompt)


@click.command()
@click.option("--prompt", "prompts", multiple=True, metavar="PROMPT", help="Two or more; 22 of the report's if none.")
@click.option("--view", metavar="VIEW", default="flip", show_default=True, help="Through which the second is seen.")
@click.option("--hybrid", "is_hybrid", is_flag=True, help="Hybrids instead: one from afar, one from near.")
@sampling_options
@one_line_errors
def search(
    prompts: tuple[str, ...], view: str, is_hybrid: bool, count: int, stride: int, model: str, out: Path | None
) -> None:
    """Draw every pair of prompts, and rank them by how well pocket's judges find both in one picture.

    Stopped by Ctrl-C, the same command goes on where it was.
    """
    from generators import models
    from generators.diffusion.views import ViewError
    from generators.pocket import search as searching

    from . import picture, ranking
    from .progress import Progress

    models.folder(model)
    name = None if is_hybrid else view
    png = picture.place(out, "search", name or "hybrid")
    prompts = prompts or searching.PROMPTS
    try:
        searching.check(prompts)
        pairing = searching.pairing(name)
    except ViewError as error:
        raise RequestError(str(error)) from None
    except ValueError as error:
        raise RequestError(f"{error}; the judges know pocket's names, see generators/pocket/MODEL_CARD.md") from None
    with Progress() as progress:
        finds = searching.search(pairing, prompts, count, stride, model, ROOT / ".cache" / "search", progress)
    for line in ranking.table(finds):
        click.echo(line)
    ranking.write(png, pairing, finds)
    click.echo(f"{png}, and all numbers: {png.with_suffix('.json')}")


def _check(*prompts: str) -> None:
    for prompt in prompts:
        if not prompt.strip():
            raise RequestError("a prompt is empty; say what the picture should show, as in “a photo of a dog”")


def _draw(kind: str, figure: Callable[[], Figure], model: str, out: Path | None, *words: str) -> None:
    from generators import models
    from generators.diffusion.views import ViewError

    from . import picture
    from .progress import Progress

    models.folder(model)  # refuses a model that is not there
    png = picture.place(out, kind, *words)
    try:
        declared = figure()
    except ViewError as error:
        raise RequestError(str(error)) from None
    with Progress() as progress:
        picture.draw(kind, declared, model, png, progress)
    click.echo(f"{png}, and how it was made: {png.with_suffix('.json')}")


VERBS = (sample, anagram, hybrid, edit, search)
