"""The subcommands that draw single pictures, each into a PNG with a JSON record beside it, never into the report."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from generators.records.errors import RequestError

from .options import ROOT, Filled, model_option

if TYPE_CHECKING:
    from generators.figures import Section

SEVERAL = click.IntRange(1, 16)
HYBRIDS = click.Choice(["distance", "colour", "motion"])

out_option = click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The PNG to write; by default in the current folder, named after the arguments.",
)
view_option = click.option(
    "--view",
    "views",
    multiple=True,
    metavar="VIEW",
    help="A view, such as rotate180 or jigsaw, once per prompt after the first; flip by default. "
    "An unknown name lists all views.",
)


pixels_option = click.option(
    "--pixels",
    type=click.Choice(["64", "256"]),
    default="64",
    show_default=True,
    callback=lambda context, option, value: int(value),
    help="Side of the picture; 256 adds the second stage, with the same views or filters.",
)


def sampling_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options for the number of samples, the stride, the model and the output file."""
    count = click.option(
        "-k",
        "count",
        default=4,
        type=SEVERAL,
        show_default=True,
        cls=Filled,
        help="Number of samples, with seeds from {seed}.",
    )
    stride = click.option(
        "--stride",
        default=30,
        type=click.IntRange(1, 333),
        show_default=True,
        help="Distance between timesteps: 30 gives 34 steps, 90 gives 12.",
    )
    return count(stride(model_option(out_option(verb))))


def draws(verb: Callable[..., tuple[Section, list[str]]]) -> click.Command:
    """Makes a subcommand of a function that returns what to draw, and the words that name the file."""

    @functools.wraps(verb)
    def run(model: str, out: Path | None, **arguments: Any) -> None:
        from generators import models

        from . import picture
        from .progress import Progress

        models.folder(model)  # rejects an unknown model
        declared, words = verb(**arguments)
        png = picture.place(out, verb.__name__, *words)
        with Progress() as progress:
            picture.draw(verb.__name__, declared, model, png, progress)
        click.echo(f"{png} (record: {png.with_suffix('.json')})")

    return click.command()(run)


@draws
@click.argument("prompt")
@sampling_options
@pixels_option
def sample(prompt: str, count: int, stride: int, pixels: int) -> tuple[Section, list[str]]:
    """Draw samples of PROMPT."""
    from generators import pictures

    _check(prompt)
    return pictures.samples(prompt, count, stride, pixels), [prompt]


@draws
@click.argument("prompts", nargs=-1, required=True)
@view_option
@sampling_options
@pixels_option
def anagram(
    prompts: tuple[str, ...], views: tuple[str, ...], count: int, stride: int, pixels: int
) -> tuple[Section, list[str]]:
    """Draw pictures that show the first of PROMPTS upright, and each other prompt through its own view."""
    from generators import pictures

    _check(*prompts)
    views = views or ("flip",)
    if len(prompts) != len(views) + 1:
        raise RequestError(
            f"{len(prompts)} prompts and {len(views)} views: give one --view for each prompt after the first, in order"
        )
    return pictures.anagrams(prompts, views, count, stride, pixels), [*prompts, *views]


@draws
@click.argument("first")
@click.argument("second")
@click.option("--by", type=HYBRIDS, default="distance", show_default=True, help="What separates the two readings.")
@sampling_options
@pixels_option
def hybrid(first: str, second: str, by: str, count: int, stride: int, pixels: int) -> tuple[Section, list[str]]:
    """Draw pictures that show FIRST from a distance and SECOND close up.

    Or FIRST without colour and SECOND with it, or FIRST in motion and SECOND at rest: see --by.
    """
    from generators import pictures

    _check(first, second)
    named = [first, second] if by == "distance" else [by, first, second]
    return pictures.hybrids(by, first, second, count, stride, pixels), named


@draws
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("prompt")
@model_option
@out_option
def edit(image: Path, prompt: str) -> tuple[Section, list[str]]:
    """Edit the file IMAGE with SDEdit: noise it to the six levels of section 1.7 and denoise it with PROMPT."""
    from generators import inputs, pictures

    _check(prompt)
    inputs.read(image)  # rejects an unreadable image before a model is loaded
    return pictures.edits(image, prompt), [image.stem, prompt]


@draws
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("prompt")
@click.option(
    "--mask",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="An image, of any shape in black and white: new content goes where it is white. Grey counts as the nearer of "
    "the two, transparent as white.",
)
@model_option
@out_option
def inpaint(image: Path, prompt: str, mask: Path) -> tuple[Section, list[str]]:
    """Replace a part of the file IMAGE by what PROMPT describes, as section 1.7.2 does.

    Of the image and the mask, the central squares are used.
    """
    from generators import inputs, pictures

    _check(prompt)
    for path in (image, mask):
        inputs.read(path)  # rejects an unreadable image before a model is loaded
    return pictures.inpaintings(image, mask, prompt), [image.stem, prompt]


@click.command()
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="PROMPT",
    help="Repeat for each prompt, at least two; by default 22 built-in ones.",
)
@click.option("--view", metavar="VIEW", default="flip", show_default=True, help="The view of the second prompt.")
@click.option("--hybrid", type=HYBRIDS, help="Search hybrids, separated by this, instead of anagrams.")
@sampling_options
def search(
    prompts: tuple[str, ...], view: str, hybrid: str | None, count: int, stride: int, model: str, out: Path | None
) -> None:
    """Draw every pair of prompts and rank the pairs by how well pocket's judges recognise both in one picture.

    After Ctrl-C, the same command resumes the search.
    """
    from generators import models
    from generators.making.judging import scores, shipped
    from generators.making.judging import search as searching

    from . import picture, ranking
    from .progress import Progress

    models.folder(model)
    name = hybrid or view
    png = picture.place(out, "search", name)
    prompts = prompts or scores.PROMPTS
    judges = shipped.judges()
    try:
        searching.check(prompts, judges.first.vocabulary)
        pairing = searching.pairing(name)
    except ValueError as error:
        raise RequestError(
            f"{error}; the judges know only pocket's names, see generators/models/pocket/MODEL_CARD.md"
        ) from None
    with Progress() as progress:
        kept = ROOT / ".cache" / "search"
        results = searching.search(judges, pairing, prompts, count, stride, model, kept, progress)
    for line in ranking.table(results):
        click.echo(line)
    picture.write(png, ranking.sheet(pairing, results), ranking.numbers(results))
    click.echo(f"{png} (all scores: {png.with_suffix('.json')})")


def _check(*prompts: str) -> None:
    for prompt in prompts:
        if not prompt.strip():
            raise RequestError("a prompt is empty; describe the picture, as in “a photo of a dog”")


VERBS = (sample, anagram, hybrid, edit, inpaint, search)
