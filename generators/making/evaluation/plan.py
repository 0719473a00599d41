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
from ...editing import edit, inpaint
from ...lab import Lab
from ...models.base import Cascade
from ...prompts import PHOTO
from ...running.session import workload
from ...sections import part_1_6, part_1_7, part_1_7_1, part_1_7_2
from ...settings import MINE
from ..drawings.data import GROUNDS
from ..drawings.names import NOUNS
from ..drawings.styles import LITHOGRAPH, SKETCH
from ..judging.vocabulary import Vocabulary
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
    """One picture to draw: the work, its network evaluations, and the case that it is of (prompt, gamma, …)."""

    work: Callable[[], Tensor]
    evaluations: int
    case: dict[str, Any]


def sample_job(lab: Lab, prompt: str, gamma: float | None = None, k: int = 0, stride: int = STRIDE) -> Job:
    """Returns the job of sample k of a prompt. At gamma = 1, the conditional estimate takes half the evaluations."""
    gamma = lab.model.first.gamma if gamma is None else gamma
    estimate = lab.estimate(prompt) if gamma == 1 else lab.guided(prompt, gamma)
    case = {"prompt": prompt, "gamma": gamma, "stride": stride, "threshold": lab.schedule.threshold, "k": k}
    timesteps = strided(stride)
    return Job(partial(lab.sample, estimate, k, timesteps), len(timesteps) * (1 if gamma == 1 else 2), case)


def inpainting_job(lab: Lab, image: str, show: str) -> Job:
    """Returns the job of the panel `show` of 1.7.2's image, with its hole filled."""
    (figure,) = part_1_7_2.SECTION.figures
    case = {"prompt": PHOTO, "image": image, "show": show}
    evaluations = workload([replace(part_1_7_2.SECTION, figures=[replace(figure, cases=[case])])]).first
    return Job(lambda: inpaint(lab, **case).image, evaluations, case)


def evenly_spaced(items: Sequence[str], count: int) -> list[str]:
    """Returns `count` of the items, evenly spread from the first on."""
    return [items[k * len(items) // count] for k in range(count)]


def unseen_prompts(count: int) -> list[str]:
    """Returns prompts without a training picture: things in a place, in a style in which `data.draw` draws no
    landscape."""
    places = list(GROUNDS)
    return [
        f"{(LITHOGRAPH, SKETCH)[k % 2]} {noun} {places[k % len(places)]}"
        for k, noun in enumerate(evenly_spaced(list(NOUNS), count))
    ]


def pair_prompts(count: int) -> list[str]:
    """Returns prompts for two things."""
    nouns = list(NOUNS)
    partners = dict(zip(nouns, nouns[len(nouns) // 2 :] + nouns, strict=False))  # half the list further on
    return [f"{noun} and {partners[noun]}" for noun in evenly_spaced(nouns, count)]


def distinct_cases(section: Any, *fields: str) -> list[tuple]:
    """Returns the distinct values of these fields in a section's cases, in order."""
    return list(dict.fromkeys(tuple(c[field] for field in fields) for figure in section.figures for c in figure.cases))


def plan(lab: Lab, vocabulary: Vocabulary) -> dict[str, list[Job]]:
    """Returns all jobs, by part, of the names and styles of a vocabulary."""
    known = [synonyms[0] for synonyms in vocabulary.names]
    swept = evenly_spaced(known, SWEPT)
    labs = {threshold: Lab(lab.model) for threshold in SWEEP_THRESHOLDS}
    for threshold, other in labs.items():
        other.schedule = replace(lab.schedule, threshold=threshold)
    steps = len(strided(STRIDE))
    return {
        "names": [sample_job(lab, prompt) for prompt in evenly_spaced(known, NAMES)],
        "styles": [
            sample_job(lab, f"{style} {noun}")
            for noun in evenly_spaced(list(NOUNS), STYLED)
            for style in vocabulary.styles
            if style
        ],
        "places": [sample_job(lab, prompt) for prompt in unseen_prompts(PLACED)],
        "pairs": [sample_job(lab, prompt) for prompt in pair_prompts(PAIRED)],
        "sweep": [
            sample_job(other, prompt, gamma, stride=SWEEP_STRIDE)
            for other in labs.values()
            for gamma in SWEEP_GAMMAS
            for prompt in swept
        ],
        "strides": [sample_job(lab, prompt, stride=stride) for stride in (*STRIDES, STRIDE) for prompt in swept],
        "diversity": [sample_job(lab, prompt, k=k) for prompt in DIVERSE for k in range(SEEDS)],
        "photos": [
            sample_job(lab, prompt, gamma, k)
            for prompt, gamma, k in distinct_cases(part_1_6.SECTION, "prompt", "gamma", "k")
        ],
        "sdedit": [
            Job(partial(edit, lab, **case), 2 * (steps - case["i_start"]), dict(case))
            for section in (part_1_7.SECTION, part_1_7_1.SECTION)
            for figure in section.figures
            for case in figure.cases
            if case["i_start"] is not None
        ],
        "inpainting": [inpainting_job(lab, image, show) for show in WAYS for image in MINE.holes],
    }


def draw(model: Cascade, works: Sequence[Callable[[], Tensor]], progress: tqdm) -> Tensor:
    """Draws the pictures in one batch, (N, 3, 64, 64) in -1 … 1; `progress` counts stage 1's evaluations."""
    usual, model.meter.on_evaluated = model.meter.on_evaluated, progress.update
    with torch.inference_mode():
        drawn = batching.run(works)
    model.meter.on_evaluated = usual  # later evaluations are not part of these
    return torch.stack([task.result for task in drawn]).float().cpu().clamp(-1, 1)
