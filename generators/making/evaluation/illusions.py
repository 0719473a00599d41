"""Judges the report's illusions, all pictures of its figures that have several readings.

    python -m generators.making.evaluation.illusions     # writes illusions.json, which captions and card read; minutes

Part of `make evaluate`. A reading is what one panel should show (see `figures.reading`). Each judge ranks the readings
of a picture among twenty prompts: those of the picture, then PROMPTS.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ... import models
from ...figures import Case, Figure, reading
from ...lab import Lab
from ...models.base import Model
from ...running import single_figure, staleness
from ...running.run import load_section
from ..judging import train_scorer
from ..judging.measures import alignment, concealment, rank
from ..judging.scorer import Judges
from .plan import draw

PATH = models.SHIPPED.with_name("illusions.json")
PROMPTS = (
    "an oil painting of a snowy mountain village", "an oil painting of people around a campfire",
    "an oil painting of an old man", "a photo of the amalfi coast", "a photo of a man", "a photo of a hipster barista",
    "a photo of a dog", "a lithograph of waterfalls", "a lithograph of a skull", "a photo of a city",
    "an oil painting of a tower", "a lithograph of a castle", "a photo of a lion", "an oil painting of a sailboat",
    "a lithograph of an elephant", "a photo of a trophy", "an oil painting of a rose", "a lithograph of a horse",
    "a photo of a penguin", "an oil painting of a fox", "a lithograph of a whale", "a photo of a robot",
)  # fmt: skip
AMONG = 20
SIDE = 64  # pixels a side of the pictures that the judges see


def judged(judges: Judges, readings: Tensor, prompts: Sequence[str]) -> dict[str, Any]:
    """Scores the readings of one picture, (V, 3, 64, 64) in -1 … 1, against their prompts, and among twenty.

    scores: by reading and prompt, from the first judge; alignment and concealment follow from them. ranks: of each
    reading's own prompt, by the first judge; by the second under "second".
    """
    known = list(dict.fromkeys((*prompts, *PROMPTS)))[:AMONG]
    first, second = (judge.scores(readings, known) for judge in judges)
    own = first[:, : len(prompts)]
    return {
        "prompts": list(prompts),
        "alignment": alignment(own),
        "concealment": concealment(own),
        "scores": own.tolist(),
        "ranks": [rank(scores, number) for number, scores in enumerate(first)],
        "second": [rank(scores, number) for number, scores in enumerate(second)],
    }


def figures() -> dict[str, Figure]:
    """Returns, by id, the report's figures with several readings, all of them at 64 pixels."""
    return {
        f"{section}-{figure.name}": figure
        for section in staleness.sections()
        for figure in load_section(section).figures
        if any(reading(case) for case in figure.cases)
        and all(case.get("pixels", SIDE) == SIDE for case in figure.cases)
    }


def samples(figure: Figure) -> list[tuple[int, list[Case]]]:
    """Returns each sample's number and its cases with a reading, one for each reading."""

    def number(case: Case) -> int:
        return case["k"]

    of_readings = sorted((case for case in figure.cases if reading(case)), key=number)
    return [(k, list(cases)) for k, cases in groupby(of_readings, number)]


def judge_all(model: Model, judges: Judges, progress: tqdm) -> list[dict[str, Any]]:
    """Draws all samples of `figures` in one batch and returns `judged` of each, with its figure, k and shows."""
    jobs = []
    for name, figure in figures().items():
        lab = Lab(model)  # one for each figure, because keys of `shared` are unique within a figure only
        jobs += [(name, k, case, partial(figure.draw, lab, **case)) for k, cases in samples(figure) for case in cases]
    images = draw(model, [work for *_, work in jobs], progress)
    found = []
    for (name, k), group in groupby(zip(jobs, images, strict=True), lambda pair: pair[0][:2]):
        shown = [(case, image) for (*_, case, _), image in group]
        prompts = [reading(case) or "" for case, _ in shown]
        scores = judged(judges, torch.stack([image for _, image in shown]), prompts)
        found.append({"figure": name, "k": k, "shows": [case["show"] for case, _ in shown], **scores})
    return found


def write(model: Model, judges: Judges) -> dict[str, Any]:
    """Judges all illusions, writes illusions.json, and returns its content."""
    expected = sum(single_figure.evaluations(figure) for figure in figures().values())
    with tqdm(desc="illusions", total=expected) as progress:
        found = {
            "model": {"name": model.name, "digest": model.digest},
            "judges": {name: train_scorer.digest(name) for name in train_scorer.JUDGES},
            "samples": rounded(judge_all(model, judges, progress)),
        }
    PATH.write_text(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    return found


def rounded(value: Any) -> Any:
    """Returns the value with every float rounded to four decimals."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    for sample in write(models.load("pocket"), train_scorer.judges())["samples"]:
        readings = "; ".join(
            f"{prompt!r} {first}/{second}"
            for prompt, first, second in zip(sample["prompts"], sample["ranks"], sample["second"], strict=True)
        )
        print(f"{sample['figure']}, sample {sample['k']}: {readings}")


if __name__ == "__main__":
    main()
