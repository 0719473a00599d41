"""The evaluation's samples without the illusions: every part, with the report's seeds, and their cost; drawing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ...diffusion import batching
from ...diffusion.schedule import strided
from ...editing import edit
from ...lab import Lab
from ...models.base import Model
from ...running import single_figure
from ...sections import part_1_6, part_1_7, part_1_7_1, part_1_7_2
from ..drawings import data
from ..drawings.styles import LITHOGRAPH, SKETCH
from ..judging import scorer
from .card import WAYS

NAMES, STYLED, PLACED, PAIRED, SWEPT = 64, 15, 32, 12, 20  # names in each part, evenly spread
STRIDE = 30
SWEEP_GAMMAS, SWEEP_THRESHOLDS, SWEEP_STRIDE = (1, 2, 3, 4, 5, 7, 10), (1.0, 1.5), 90
STRIDES = (200, 90)  # in addition to the report's
DIVERSE = (
    "an oil painting of an old man", "an oil painting of people around a campfire", "a photo of the amalfi coast",
    "a photo of a dog", "a lithograph of a skull", "a lithograph of waterfalls",
)  # fmt: skip
SEEDS = 5


@dataclass(frozen=True)
class Job:
    """One picture to draw: the work, its network evaluations, and its description (prompt, gamma, …)."""

    work: Callable[[], Tensor]
    evaluations: int
    said: dict[str, Any]


def sample(lab: Lab, prompt: str, gamma: float | None = None, k: int = 0, stride: int = STRIDE) -> Job:
    """Sample k of a prompt. At gamma = 1 guidance is the conditional estimate, at half the evaluations."""
    gamma = lab.model.gamma if gamma is None else gamma
    estimate = lab.estimate(prompt) if gamma == 1 else lab.guided(prompt, gamma)
    said = {"prompt": prompt, "gamma": gamma, "stride": stride, "threshold": lab.schedule.threshold, "k": k}
    return Job(partial(lab.sample, estimate, k, stride), len(strided(stride)) * (1 if gamma == 1 else 2), said)


def filled(lab: Lab, image: str, show: str) -> Job:
    """The panel `show` of 1.7.2's image, with its hole filled."""
    (figure,), case = part_1_7_2.SECTION.figures, {"image": image, "show": show}
    evaluations = single_figure.evaluations(replace(figure, cases=[case]))
    return Job(lambda: part_1_7_2.inpaint(lab, **case).image, evaluations, case)


def spread(items: Sequence[str], count: int) -> list[str]:
    """Returns `count` of the items, evenly spread from the first on."""
    return [items[k * len(items) // count] for k in range(count)]


def placed(count: int) -> list[str]:
    """Returns prompts without a training picture: things in a place, in a style in which `data.draw` draws no
    landscape."""
    places = list(data.GROUNDS)
    return [
        f"{(LITHOGRAPH, SKETCH)[k % 2]} {noun} {places[k % len(places)]}"
        for k, noun in enumerate(spread(list(data.NOUNS), count))
    ]


def paired(count: int) -> list[str]:
    """Returns prompts for two things."""
    nouns = list(data.NOUNS)
    return [f"{noun} and {nouns[(nouns.index(noun) + len(nouns) // 2) % len(nouns)]}" for noun in spread(nouns, count)]


def cases(section: Any, *fields: str) -> list[tuple]:
    """Returns the distinct values of these fields in a section's cases, in order."""
    return list(dict.fromkeys(tuple(c[field] for field in fields) for figure in section.figures for c in figure.cases))


def plan(lab: Lab) -> dict[str, list[Job]]:
    """Returns all jobs, by part."""
    known = [phrases[0] for phrases in scorer.names()]
    swept = spread(known, SWEPT)
    labs = {threshold: Lab(lab.model) for threshold in SWEEP_THRESHOLDS}
    for threshold, other in labs.items():
        other.schedule = replace(lab.schedule, threshold=threshold)
    steps = len(strided(STRIDE))
    return {
        "names": [sample(lab, prompt) for prompt in spread(known, NAMES)],
        "styles": [
            sample(lab, f"{style} {noun}")
            for noun in spread(list(data.NOUNS), STYLED)
            for style in scorer.STYLES
            if style
        ],
        "places": [sample(lab, prompt) for prompt in placed(PLACED)],
        "pairs": [sample(lab, prompt) for prompt in paired(PAIRED)],
        "sweep": [
            sample(other, prompt, gamma, stride=SWEEP_STRIDE)
            for other in labs.values()
            for gamma in SWEEP_GAMMAS
            for prompt in swept
        ],
        "strides": [sample(lab, prompt, stride=stride) for stride in (*STRIDES, STRIDE) for prompt in swept],
        "diversity": [sample(lab, prompt, k=k) for prompt in DIVERSE for k in range(SEEDS)],
        "photos": [
            sample(lab, prompt, gamma, k) for prompt, gamma, k in cases(part_1_6.SECTION, "prompt", "gamma", "k")
        ],
        "sdedit": [
            Job(partial(edit, lab, **case), 2 * (steps - case["i_start"]), dict(case))
            for section in (part_1_7.SECTION, part_1_7_1.SECTION)
            for figure in section.figures
            for case in figure.cases
            if case["i_start"] is not None
        ],
        "inpainting": [filled(lab, image, show) for show in WAYS for image in part_1_7_2.HOLES],
    }


def draw(model: Model, works: Sequence[Callable[[], Tensor]], progress: tqdm) -> Tensor:
    """Draws the pictures in one batch, (N, 3, 64, 64) in -1 … 1; `progress` counts stage 1's evaluations."""
    model.on_evaluated = progress.update
    with torch.inference_mode():
        drawn = batching.run(works)
    del model.on_evaluated  # later evaluations are not part of these
    return torch.stack([task.result for task in drawn]).float().cpu().clamp(-1, 1)
