"""Declares and draws a single figure outside the report's sections, for the verbs that draw single pictures.

Sample k has the seed 42 + k, as in the sections.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from .. import models
from ..diffusion import batching
from ..diffusion.estimates import Estimate, Part, anagram, factorised
from ..diffusion.filters import colour, grey, high_pass, low_pass, motion_blur, motion_rest
from ..diffusion.views import named, still
from ..editing import edit, strips
from ..figures import Figure, Section, each
from ..lab import Lab
from ..models.base import Model
from . import run
from .drawing import works, write_panel
from .dry_run import dry_run

SMALL = 64  # pixels per side of stage 1's images
AS_IT_IS = "identity"  # the view of an anagram's first reading


def samples(prompt: str, count: int, stride: int, pixels: int = SMALL) -> Figure:
    """Declares `count` samples of one prompt. pixels: per side, 64 or 256, here and below."""

    def draw(lab: Lab, prompt: str, stride: int, pixels: int, k: int) -> torch.Tensor:
        x = lab.sample(lab.guided(prompt), k, stride)
        return x if pixels == SMALL else lab.enlarge(x, prompt, k)

    return Figure(
        "guided",
        caption="“{prompt}”",
        label="sample {k}",
        alt="Sample {k} of “{prompt}”",
        cases=each(prompt=prompt, stride=stride, pixels=pixels, k=tuple(range(count))),
        draw=draw,
    )


def anagrams(prompts: Sequence[str], views: Sequence[str], count: int, stride: int, pixels: int = SMALL) -> Figure:
    """Declares `count` anagrams, each shown through every view: the first prompt upright, the others through `views`.

    Raises ViewError for an unknown view, and ValueError unless each prompt after the first has one view.
    """
    if len(prompts) < 2 or len(views) != len(prompts) - 1:
        raise ValueError(f"{len(prompts)} prompts, {len(views)} views: each prompt after the first needs one view")
    readings = list(zip((AS_IT_IS, *views), prompts, strict=True))
    by_name = {name: named(name) for name, _ in readings}

    def small(lab: Lab) -> Estimate:
        return anagram(*((lab.reading(prompt), by_name[name]) for name, prompt in readings))

    def large(lab: Lab, given: torch.Tensor) -> Estimate:
        return anagram(*((lab.enlarging(prompt, by_name[name](given)), by_name[name]) for name, prompt in readings))

    return _readings("-".join(views), readings, count, stride, pixels, small, large, by_name)


class Parts(NamedTuple):
    """Two filters that add up to the identity, for a scale of 1 at 64 pixels.

    shows: what one sees of each part's prompt; the first in the filtered picture, the second in the whole. guides: the
    guided estimate for each.
    """

    shows: tuple[str, str]
    guides: tuple[Callable[[Lab, str], Estimate], Callable[[Lab, str], Estimate]]
    at: Callable[[int], tuple[Part, Part]]


HYBRIDS = {  # by what separates the two readings
    "distance": Parts(
        ("far", "near"),
        (Lab.guided, Lab.reading),
        lambda scale: (
            partial(low_pass, kernel=32 * scale + 1, sigma=2.0 * scale),
            partial(high_pass, kernel=32 * scale + 1, sigma=2.0 * scale),
        ),
    ),
    "colour": Parts(("grey", "colour"), (Lab.part, Lab.part), lambda scale: (grey, colour)),
    "motion": Parts(
        ("moving", "still"),
        (Lab.guided, Lab.reading),
        lambda scale: (partial(motion_blur, length=6 * scale + 1), partial(motion_rest, length=6 * scale + 1)),
    ),
}


def hybrids(by: str, first: str, second: str, count: int, stride: int, pixels: int = SMALL) -> Figure:
    """Declares `count` hybrids, a key of HYBRIDS: `first` is read through the first part's filter, `second` without."""
    (filtered, whole), parts = HYBRIDS[by].shows, HYBRIDS[by].at(pixels // SMALL)

    def small(lab: Lab) -> Estimate:
        guided = [guide(lab, prompt) for guide, prompt in zip(HYBRIDS[by].guides, (first, second), strict=True)]
        return factorised(guided, HYBRIDS[by].at(1))

    def large(lab: Lab, given: torch.Tensor) -> Estimate:
        return factorised([lab.enlarging(first, given), lab.enlarging(second, given)], parts)

    readings = [(whole, second), (filtered, first)]
    return _readings(by, readings, count, stride, pixels, small, large, {whole: still, filtered: parts[0]})


def edits(path: Path, prompt: str) -> Figure:
    """Declares SDEdit of an image file with a prompt, from the six noise levels of 1.7, and the original."""
    return Figure(
        "sdedit",
        caption="SDEdit of {image}, guided by “{prompt}”",
        label="{show}",
        alt={"original": "{image} before any noise", "*": "{image}, noised to {show} and denoised with “{prompt}”"},
        cases=strips(each(prompt=prompt, image=path.name)),
        draw=lambda lab, image, **case: edit(lab, image=path, **case),
    )


def evaluations(figure: Figure) -> int:
    """Returns the number of stage 1 evaluations that a figure needs."""
    return dry_run([_section(figure)], 1, False).first


def ready(kind: str, title: str, expected: int, figures: Sequence[Figure], model: str, observer: run.Observer) -> Model:
    """Prepares and loads the model for the figures, which must cover all prompts. Raises ModelError.

    kind, title: announced to the observer, such as "anagram" and its prompts. expected: the number of evaluations.
    """
    observer.begin({kind: ("requested", expected)})
    models.prepare(model, partial(dry_run, [_section(figure) for figure in figures]), observer.planned)
    loaded = models.load(model)
    loaded.on_evaluated = observer.evaluated
    observer.section(kind, title)
    return loaded


def draw(kind: str, figure: Figure, model: Model, folder: Path) -> dict[str, Any]:
    """Draws all cases of a figure together, writes its panels into `folder`, and returns the record.

    Raises InputError, ModelError or DrawingError.
    """
    section, began = _section(figure), time.perf_counter()
    calls, evaluations = model.calls, model.evaluations
    with torch.inference_mode():
        # A new Lab, because keys of `shared` are unique within one figure only.
        tasks = batching.run(works(section, Lab(model)))
    model.wait()
    return {
        "format": 1,
        "id": kind,
        "title": figure.caption_text(),
        "source": f"report {kind}",
        **run.provenance(model),
        "seconds": round(time.perf_counter() - began, 3),
        "network_calls": model.calls - calls,
        "evaluations": model.evaluations - evaluations,
        "figures": [
            {
                "name": figure.name,
                "caption": figure.caption_text(),
                "panels": [
                    write_panel(folder, f"{number:02}.webp", section, figure, case, task)
                    for number, (case, task) in enumerate(zip(figure.cases, tasks, strict=True), 1)
                ],
            }
        ],
    }


def _section(figure: Figure) -> Section:
    """Wraps a figure in a section, the unit of drawing."""
    return Section("0", figure.name, [figure])


def _readings(
    name: str,
    readings: Sequence[tuple[str, str]],
    count: int,
    stride: int,
    pixels: int,
    small: Callable[[Lab], Estimate],
    large: Callable[[Lab, torch.Tensor], Estimate],
    looks: Mapping[str, Callable[[torch.Tensor], torch.Tensor]],
) -> Figure:
    """Declares pictures with several readings (how it is shown, prompt), one row for each reading.

    small: the estimate at 64 pixels. large: at 256, given the second stage's conditioning. looks: by how it is shown,
    the transform of a picture that shows it so.
    """

    def sampled(lab: Lab, stride: int, k: int) -> torch.Tensor:
        x = lab.sample(small(lab), k, stride)
        return x if pixels == SMALL else lab.enlarge_by(x, partial(large, lab), k)

    def draw(lab: Lab, show: str, stride: int, k: int, **_: Any) -> torch.Tensor:
        return looks[show](lab.shared(k, lambda: sampled(lab, stride, k)))

    described = "; ".join(f"{show}: “{prompt}”" for show, prompt in readings)
    return Figure(
        "".join(letter if letter.isalnum() else "-" for letter in name).strip("-"),
        caption="{readings}",
        row="{show}",
        label="sample {k}",
        alt="Sample {k}, {show}: the prompt is “{prompt}”",
        cases=[
            {"readings": described, "prompt": prompt, "show": show, "stride": stride, "pixels": pixels, "k": k}
            for show, prompt in readings
            for k in range(count)
        ],
        draw=draw,
    )
