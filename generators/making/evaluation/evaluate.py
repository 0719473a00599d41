"""Evaluates pocket: `make evaluate`.

    python -m generators.making.evaluation.evaluate   # writes evaluation.json, .svg, illusions.json and the card

Samples are drawn as in the report, with its seeds (sample k at 42 + k), without selection. Two judges rate each: the
first one's numbers count, the second one's are shown beside them (see judging/judge.py). Their accuracy on unseen
drawings bounds what a perfect model could reach. Shares come with Wilson's 95% interval, which accounts only for the
number of pictures.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from ... import models
from ...diffusion.metrics import border_step
from ...lab import Lab
from ...models.pocket.patches import PATCH
from ...models.pocket.super_resolution import SCALE
from ..drawings import icons
from ..judging import accuracy, shipped
from ..judging.judge import Judge, Judges
from ..judging.labelled import drawing_of, labelled, test_sets
from ..training.pool import WORKERS, Endless, Picture, as_images, picture_64
from . import card, illusions, results
from .measures import copies, falls, mean_distance, quartiles, rms, seams, wilson
from .plan import STRIDE, Job, draw, plan

HERE = Path(__file__).parent
CARD = models.SHIPPED.with_name("MODEL_CARD.md")
TRAINING = 16_384  # training drawings searched for copies
FRESH, COMPARED = 4, 5  # new drawings of each compared name; their random sequence
SEAMED = 30  # samples of which the target for patch borders speaks


def training_drawings(count: int) -> list[Picture]:
    """Returns the first `count` drawings of stage 1's training."""
    return list(islice(DataLoader(Endless(picture_64, 0), batch_size=None, num_workers=WORKERS), count))


# --------------------------------------------------------------------------------------------------- judging


def retrieval_rates(judges: Judges, images: Tensor, prompts: Sequence[str]) -> dict[str, Any]:
    """Returns R@1 and R@5 of the images among all names, and the shares with the right style and place; by the first
    judge, and by the second under "second". agreement: share with the same best name by both."""
    vocabulary = judges.first.vocabulary
    readings = [vocabulary.parse(prompt) for prompt in prompts]
    best, found = [], []
    for judge in judges:
        output = judge.predict(images)
        ranks = accuracy.retrieval_ranks(output.names, prompts, vocabulary)
        rates = {f"R@{k}": wilson(int((ranks <= k).sum()), len(ranks)) for k in (1, 5)}
        for part, words, logits in (
            ("style", vocabulary.styles, output.style),
            ("place", vocabulary.places, output.place),
        ):
            asked = [(row, words.index(word)) for row, each in enumerate(readings) if (word := getattr(each, part))]
            if asked:
                rates[part] = wilson(sum(int(logits[row].argmax()) == number for row, number in asked), len(asked))
        found.append(rates)
        best.append(output.names.argmax(-1))
    agreed = wilson(int((best[0] == best[1]).sum()), len(prompts))
    return {"n": len(prompts), **found[0], "second": found[1], "agreement": agreed}


def rates_by(judges: Judges, jobs: Sequence[Job], images: Tensor, *fields: str) -> list[dict[str, Any]]:
    """Returns `retrieval_rates` for each combination of these fields' values, in order of appearance."""
    groups: dict[tuple, list[int]] = {}
    for row, job in enumerate(jobs):
        groups.setdefault(tuple(job.case[field] for field in fields), []).append(row)
    return [
        dict(zip(fields, values, strict=True))
        | retrieval_rates(judges, images[rows], [jobs[row].case["prompt"] for row in rows])
        for values, rows in groups.items()
    ]


def best_names(judges: Judges, jobs: Sequence[Job], images: Tensor) -> list[dict[str, Any]]:
    """Returns each judge's best name, with its probability, for each sample of a prompt without a name."""
    most_probable = [judge.predict(images).names.softmax(-1).max(-1) for judge in judges]
    return [
        {
            "k": job.case["k"],
            "gamma": job.case["gamma"],
            "names": [judges.first.vocabulary.names[int(best.indices[row])][0] for best in most_probable],
            "probabilities": [best.values[row].item() for best in most_probable],
        }
        for row, job in enumerate(jobs)
    ]


View = Callable[[Tensor], Tensor]


def nearest(judge: Judge, drawn: Tensor, references: dict[str, Tensor], training: Tensor) -> dict[str, Any]:
    """Compares the drawn pictures' distances to the training drawings with those of pictures outside the training.

    Returns quartiles of the distance to the nearest training drawing, in pixels (`rms`) and between the judge's
    unit-length features (0 … 2), and the share of copies by each reference.
    """
    found: dict[str, Any] = {"n": len(drawn), "training drawings": len(training)}
    views: tuple[tuple[str, View], ...] = (
        ("pixels", lambda images: images.flatten(1) / (2 * images[0].numel() ** 0.5)),
        ("features", lambda images: F.normalize(judge.predict(images).features, dim=-1)),
    )
    for space, view in views:
        among = view(training)
        ours = torch.cdist(view(drawn), among).min(1).values
        others = {what: torch.cdist(view(images), among).min(1).values for what, images in references.items()}
        found[space] = {
            "drawn": quartiles(ours),
            "references": {
                what: {"n": len(far), "quartiles": quartiles(far), "copies": copies(ours, far)}
                for what, far in others.items()
            },
        }
    return found


def diversity(jobs: Sequence[Job], images: Tensor, training: Tensor, captions: Sequence[Sequence[str]]) -> list[dict]:
    """Returns the mean distance between the samples of each prompt, and between the training drawings with that
    caption.

    share: the first over the second; None with fewer than two such drawings.
    """
    found = []
    for prompt in dict.fromkeys(job.case["prompt"] for job in jobs):
        rows = [row for row, job in enumerate(jobs) if job.case["prompt"] == prompt]
        same = [row for row, own in enumerate(captions) if prompt in own]
        drawn = mean_distance(images[rows])
        trained = mean_distance(training[same]) if len(same) > 1 else None
        found.append(
            {
                "prompt": prompt, "seeds": len(rows), "drawn": drawn, "training drawings": len(same),
                "training": trained, "share": drawn / trained if trained else None,
            }
        )  # fmt: skip
    return found


def sdedit(lab: Lab, jobs: Sequence[Job], images: Tensor) -> dict[str, Any]:
    """Returns the distance (`rms`) of each edit to its original, by image and i_start, and whether it falls at every
    step."""
    found: dict[str, dict[str, float]] = {}
    for job, edited in zip(jobs, images, strict=True):
        original = lab.image(job.case["image"]).float().cpu()
        distance = rms(edited[None], original[None]).item()
        found.setdefault(job.case["image"], {})[str(job.case["i_start"])] = distance
    return {"distance": found, "falls": {image: falls(list(row.values())) for image, row in found.items()}}


def inpainting(lab: Lab, jobs: Sequence[Job], images: Tensor) -> list[dict[str, Any]]:
    """Returns the mean step across the border of each hole, filled and in the original, and their ratio."""
    found = []
    for job, image in zip(jobs, images, strict=True):
        mask = lab.hole(job.case["image"]).float().cpu()
        ours, own = (border_step(x, mask) for x in (image, lab.image(job.case["image"]).float().cpu()))
        found.append({**job.case, "filled": ours, "original": own, "ratio": ours / own})
    return found


def patch_borders(lab: Lab, jobs: Sequence[Job], images: Tensor, training: Tensor) -> list[dict[str, Any]]:
    """Returns `seams` of the first SEAMED and of all samples, at 64 pixels and enlarged to 256, where a patch is SCALE
    times as wide; of the enlarged ones also among the borders of the smaller image's pixels only; and of as many
    drawings."""
    large = torch.stack(
        [lab.enlarge(image, job.case["prompt"]) for job, image in zip(jobs, images, strict=True)]
    ).clamp(-1, 1)
    rows = (
        ("samples", images, 1, 1),
        (card.ENLARGED, large, SCALE, 1),
        (f"{card.ENLARGED}, among the borders of pixels at 64", large, SCALE, SCALE),
        ("training drawings", training, 1, 1),
    )
    return [
        {"what": what, "n": n, "pixels": some.shape[-1], "ratio": seams(some[:n], PATCH * scale, among)}
        for n in (min(SEAMED, len(images)), len(images))
        for what, some, scale, among in rows
    ]


def evaluate(lab: Lab, judges: Judges) -> dict[str, Any]:
    """Draws and judges everything but illusions, and returns the numbers. Takes a quarter of an hour on two cores."""
    vocabulary = judges.first.vocabulary
    jobs = plan(lab, vocabulary)
    with tqdm(desc="drawing", total=sum(job.evaluations for part in jobs.values() for job in part)) as progress:
        images = {name: draw(lab.model, [job.work for job in part], progress) for name, part in jobs.items()}
    pictures, sets = training_drawings(TRAINING), test_sets()
    training = as_images(torch.stack([picture.rgb for picture in pictures]))
    fresh = labelled(
        [
            drawing_of(
                vocabulary.names[vocabulary.number(job.case["prompt"])], "", np.random.default_rng([COMPARED, row, k])
            )
            for row, job in enumerate(jobs["names"])
            for k in range(FRESH)
        ]
    )
    plain = sets["icons"].at(sets["icons"].style == 0)
    references = {card.FRESH: fresh, f"icons of {icons.HELD_OUT}": plain}
    return {
        "model": {
            "name": lab.model.name,
            "digest": lab.model.digest,
            "megabytes": sum(path.stat().st_size for path in models.SHIPPED.rglob("*") if path.is_file()) / 1e6,
        },
        "judges": {
            "names": len(vocabulary.names),
            "digests": {name: shipped.digest(name) for name in shipped.NETWORKS},
            "held out": [accuracy.held_out(judge, sets) for judge in judges],
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "diffusers")}},
        "sampler": {"gamma": lab.model.first.gamma, "stride": STRIDE, "threshold": lab.schedule.threshold},
        "names": rates_by(judges, jobs["names"], images["names"], "gamma"),
        "styles": rates_by(judges, jobs["styles"], images["styles"], "gamma"),
        "places": rates_by(judges, jobs["places"], images["places"], "gamma"),
        "pairs": rates_by(judges, jobs["pairs"], images["pairs"], "gamma"),
        "sweep": rates_by(judges, jobs["sweep"], images["sweep"], "threshold", "gamma", "stride"),
        "strides": rates_by(judges, jobs["strides"], images["strides"], "stride"),
        "photos": best_names(judges, jobs["photos"], images["photos"]),
        "nearest": nearest(
            judges.first, images["names"], {what: as_images(some.rgb) for what, some in references.items()}, training
        ),
        "diversity": diversity(jobs["diversity"], images["diversity"], training, [p.captions for p in pictures]),
        "sdedit": sdedit(lab, jobs["sdedit"], images["sdedit"]),
        "inpainting": inpainting(lab, jobs["inpainting"], images["inpainting"]),
        "seams": patch_borders(lab, jobs["names"], images["names"], training),
        "evaluations": lab.model.meter.evaluations,
    }


def main() -> None:
    judges = shipped.judges()
    lab = Lab(models.load("pocket"))
    found = results.write(HERE / "evaluation.json", evaluate(lab, judges))
    text = card.section(found, illusions.evaluate(lab.model, judges)["samples"])
    card.chart(found, CARD.with_name("evaluation.svg"))
    CARD.write_text(card.replace_section(CARD.read_text(encoding="utf-8"), text), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
