"""Judges the report's illusions, all pictures of its figures that have several readings.

    python -m generators.making.evaluation.illusions     # writes illusions.json, which captions and card read; minutes

Part of `make evaluate`. A reading is what one panel should show (see `figures.reading`).
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import Any

import torch
from tqdm import tqdm

from ... import models
from ...figures import Case, Figure, Section, reading
from ...lab import Lab
from ...models.base import Cascade
from ...running import staleness
from ...running.run import load_section
from ...running.session import workload
from ..judging import shipped
from ..judging.judge import Judges
from ..judging.scores import score_readings
from . import results
from .plan import draw

PATH = models.SHIPPED.with_name("illusions.json")
SIDE = 64  # pixels a side of the pictures that the judges see


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


def judge_all(model: Cascade, judges: Judges, progress: tqdm) -> list[dict[str, Any]]:
    """Draws all samples of `figures` in one batch; returns `score_readings` of each, with its figure, k and shows."""
    jobs = []
    for name, figure in figures().items():
        lab = Lab(model)  # one for each figure, because keys of `shared` are unique within a figure only
        jobs += [(name, k, case, partial(figure.draw, lab, **case)) for k, cases in samples(figure) for case in cases]
    images = draw(model, [work for *_, work in jobs], progress)
    found = []
    for (name, k), group in groupby(zip(jobs, images, strict=True), lambda pair: pair[0][:2]):
        shown = [(case, image) for (*_, case, _), image in group]
        prompts = [reading(case) or "" for case, _ in shown]
        scores = score_readings(judges, torch.stack([image for _, image in shown]), prompts)
        found.append({"figure": name, "k": k, "shows": [case["show"] for case, _ in shown], **scores})
    return found


def evaluate(model: Cascade, judges: Judges) -> dict[str, Any]:
    """Judges all illusions, writes illusions.json, and returns its content."""
    expected = workload(Section("0", figure.name, [figure]) for figure in figures().values()).first
    with tqdm(desc="illusions", total=expected) as progress:
        found = {
            "model": {"name": model.name, "digest": model.digest},
            "judges": {name: shipped.digest(name) for name in shipped.NETWORKS},
            "samples": judge_all(model, judges, progress),
        }
    return results.write(PATH, found)


def main() -> None:
    for sample in evaluate(models.load("pocket"), shipped.judges())["samples"]:
        readings = "; ".join(
            f"{prompt!r} {first}/{second}"
            for prompt, first, second in zip(sample["prompts"], sample["ranks"], sample["second"], strict=True)
        )
        print(f"{sample['figure']}, sample {sample['k']}: {readings}")


if __name__ == "__main__":
    main()
