"""How good pocket is, in numbers: `make evaluate`.

    python -m generators.pocket.evaluate      # writes evaluation.json and evaluation.svg, and the card's section

Every sample is drawn as the report draws, with its seeds (sample k at 42 + k) and none chosen. The scorer judges them:
see `scorer` for what it is, and its accuracy on held-out real pictures for what a perfect model could reach. Shares
come with Wilson's 95% interval (Wilson 1927), which knows only how many pictures there are.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import models, part_1_7, part_1_8, part_1_9
from ..diffusion import strands
from ..diffusion.filters import low_pass
from ..diffusion.schedule import strided
from ..diffusion.views import FLIP
from ..editing import edit
from ..lab import Lab
from . import card, data, pictures, scenes, scorer, scorer_pictures, train_scorer
from .progress import Progress
from .scorer import Scorer, parse
from .scorer_pictures import as_images

HERE = Path(__file__).parent
NAMES, STYLED, UNSEEN, SWEPT = 30, 6, 8, 12  # how many names each part takes from the list, evenly spread
GAMMAS, STRIDE = (1, 3, 7), 30  # and the gamma of the model, where it is another
SWEEP_GAMMAS, SWEEP_THRESHOLDS, SWEEP_STRIDE = (1, 3, 5, 7, 10), (1.0, 1.5), 90
STRIDES = (200, 90)  # beside the report's
DIVERSE = (
    "an oil painting of an old man", "an oil painting of people around a campfire", "a photo of the amalfi coast",
    "a photo of a dog", "a lithograph of a skull", "a lithograph of waterfalls",
)  # fmt: skip
SEEDS = 4
PROMPTS = (  # each reading of an anagram or a hybrid is ranked among twenty: its own pair's, then these
    "an oil painting of a snowy mountain village", "an oil painting of people around a campfire",
    "an oil painting of an old man", "a photo of the amalfi coast", "a photo of a man", "a photo of a hipster barista",
    "a photo of a dog", "a lithograph of waterfalls", "a lithograph of a skull", "a photo of a city",
    "an oil painting of a tower", "a lithograph of a castle", "a photo of a lion", "an oil painting of a sailboat",
    "a lithograph of an owl", "a photo of a teapot", "an oil painting of a rose", "a lithograph of a horse",
    "a photo of a volcano", "an oil painting of a fox", "a lithograph of a whale", "a photo of a robot",
)  # fmt: skip
AMONG = 20


# ------------------------------------------------------------------------------------------------------ what is drawn


@dataclass(frozen=True)
class Job:
    """One picture to draw: the work, the network's evaluations that it takes, and what it is (prompt, gamma, …)."""

    work: Callable[[], Tensor]
    evaluations: int
    said: dict[str, Any]


def sample(lab: Lab, prompt: str, gamma: float | None = None, k: int = 0, stride: int = STRIDE) -> Job:
    """Sample k of a prompt. At gamma = 1, guidance is the conditional estimate alone, in half the evaluations."""
    gamma = lab.model.gamma if gamma is None else gamma
    estimate = lab.estimate(prompt) if gamma == 1 else lab.guided(prompt, gamma)
    said = {"prompt": prompt, "gamma": gamma, "stride": stride, "threshold": lab.schedule.threshold, "k": k}
    return Job(partial(lab.sample, estimate, k, stride), len(strided(stride)) * (1 if gamma == 1 else 2), said)


def spread(items: Sequence[str], count: int) -> list[str]:
    """`count` of the items, evenly spread from the first on."""
    return [items[k * len(items) // count] for k in range(count)]


def unseen(count: int) -> list[str]:
    """Prompts that no training picture has: things in a place in a style in which no landscape is drawn, and pairs."""
    nouns, places = list(data.nouns()), list(data.GROUNDS)
    drawn = {caption for drawing in data.drawings() for caption in drawing.captions}
    styles = (scenes.OIL, scenes.LITHOGRAPH, scenes.SKETCH)
    placed = [f"{styles[k % 3]} {noun} {places[k % 5]}" for k, noun in enumerate(spread(nouns, count))]
    step = len(nouns) // 2
    paired = [f"{noun} and {nouns[(nouns.index(noun) + step) % len(nouns)]}" for noun in spread(nouns, count)]
    return [prompt for prompt in (*placed, *paired) if prompt not in drawn]


def pairs(section: Any, first: str, second: str) -> list[tuple[str, str]]:
    """The pairs of prompts that the cases of a section name in these two fields."""
    return list(dict.fromkeys((c[first], c[second]) for figure in section.figures for c in figure.cases))


def plan(lab: Lab) -> dict[str, list[Job]]:
    """All that is to be drawn, part by part."""
    known = [phrases[0] for phrases in scorer.names()]
    nouns = list(data.nouns())
    swept = spread(known, SWEPT)
    labs = {threshold: Lab(lab.model) for threshold in SWEEP_THRESHOLDS}
    for threshold, other in labs.items():
        other.schedule = replace(lab.schedule, threshold=threshold)
    anagrams = pairs(part_1_8.SECTION, "upright", "flipped")
    hybrids = pairs(part_1_9.SECTION, "far", "near")
    ks, steps = (0, 1, 2), len(strided(STRIDE))
    gammas = sorted({*GAMMAS, lab.model.gamma})
    return {
        "names": [sample(lab, prompt, gamma) for gamma in gammas for prompt in spread(known, NAMES)],
        "styles": [
            sample(lab, f"{style} {noun}", gamma)
            for gamma in gammas
            for noun in spread(nouns, STYLED)
            for style in scorer.STYLES
            if style
        ],
        "unseen": [sample(lab, prompt) for prompt in unseen(UNSEEN)],
        "sweep": [
            sample(other, prompt, gamma, stride=SWEEP_STRIDE)
            for other in labs.values()
            for gamma in SWEEP_GAMMAS
            for prompt in swept
        ],
        "strides": [sample(lab, prompt, stride=stride) for stride in (*STRIDES, STRIDE) for prompt in swept],
        "diversity": [sample(lab, prompt, k=k) for prompt in DIVERSE for k in range(SEEDS)],
        "anagrams": [
            Job(partial(part_1_8.turning, lab, *pair, k, "upright"), 4 * steps, {"pair": pair, "k": k})
            for pair in anagrams
            for k in ks
        ],
        "hybrids": [
            Job(partial(part_1_9.distant, lab, *pair, k, "near"), 4 * steps, {"pair": pair, "k": k})
            for pair in hybrids
            for k in ks
        ],
        "sdedit": [
            Job(partial(edit, lab, **case), 2 * (steps - case["i_start"]), dict(case))
            for figure in part_1_7.SECTION.figures
            for case in figure.cases
            if case["i_start"] is not None
        ],
    }


def draw(lab: Lab, jobs: Iterable[Job], progress: Progress) -> Tensor:
    """The pictures of the jobs, all sampled together: (N, 3, 64, 64) in -1 … 1."""
    lab.model.on_answer = lambda count: progress.step(count=count)
    with torch.inference_mode():
        drawn = strands.run([job.work for job in jobs])
    return torch.stack([strand.result for strand in drawn]).float().cpu().clamp(-1, 1)


# --------------------------------------------------------------------------------------------------- what it is worth


def wilson(hits: int, n: int, z: float = 1.96) -> list[float]:
    """The share of hits and Wilson's score interval around it: [share, low, high], 95% at z = 1.96."""
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"{hits} hits of {n}: at least one trial, and no more hits than trials")
    share = hits / n
    middle, root = share + z * z / (2 * n), z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return [share, (middle - root) / (1 + z * z / n), (middle + root) / (1 + z * z / n)]


def judged(judge: Scorer, images: Tensor, prompts: Sequence[str]) -> dict[str, Any]:
    """R@1 and R@5 of the images among all names, and how many show the style and the place that their prompts say."""
    seen, readings = judge.see(images), [parse(prompt) for prompt in prompts]
    ranks = judge.retrieval(images, prompts)
    found: dict[str, Any] = {"n": len(prompts)}
    for k in (1, 5):
        found[f"R@{k}"] = wilson(int((ranks <= k).sum()), len(ranks))
    for what, known, logits in (("style", scorer.STYLES, seen.style), ("place", scorer.PLACES, seen.place)):
        said = [(row, known.index(word)) for row, reading in enumerate(readings) if (word := getattr(reading, what))]
        if said:
            right = sum(int(logits[row].argmax()) == number for row, number in said)
            found[what] = wilson(right, len(said))
    return found


def by(judge: Scorer, jobs: Sequence[Job], images: Tensor, *fields: str) -> list[dict[str, Any]]:
    """`judged` for each combination of the values of these fields, in the order in which they come."""
    groups: dict[tuple, list[int]] = {}
    for row, job in enumerate(jobs):
        groups.setdefault(tuple(job.said[field] for field in fields), []).append(row)
    return [
        dict(zip(fields, values, strict=True)) | judged(judge, images[rows], [jobs[row].said["prompt"] for row in rows])
        for values, rows in groups.items()
    ]


def alignment(scores: Tensor) -> float:
    """A = min_i S_ii: the score of the worse reading (Geng et al. 2024, "Visual Anagrams").

    scores: S, (V, V), of view i of an image under prompt j; here log-probabilities, so that 0 is best.
    """
    return scores.diagonal().min().item()


def concealment(scores: Tensor) -> float:
    """C = tr(softmax(S)) / V, after the concealment score of Geng et al. 2024.

    1 where each view shows its own prompt and nothing of the others', 1 / V where one cannot tell. That the softmax
    over the prompts and that over the views are averaged is this project's choice. The paper divides CLIP's cosines by
    its temperature; these scores are log-probabilities already, at a temperature of 1.
    """
    return (scores.softmax(0).trace() + scores.softmax(1).trace()).item() / (2 * len(scores))


def rank(scores: Tensor, own: int) -> int:
    """The rank of the prompt of index `own` among the scores (P,) of one image; 1 is best."""
    return 1 + int((scores > scores[own]).sum())


View = Callable[[Tensor], Tensor]


def as_is(image: Tensor) -> Tensor:
    return image


def illusions(judge: Scorer, jobs: Sequence[Job], images: Tensor, *views: View) -> list[dict[str, Any]]:
    """For each image its readings, through each view, against the pair's prompts (in the views' order) and among 20."""
    found = []
    for job, image in zip(jobs, images, strict=True):
        prompts = list(dict.fromkeys((*job.said["pair"], *PROMPTS)))[:AMONG]
        scores = judge.scores(torch.stack([view(image) for view in views]), prompts)
        found.append(
            {
                "prompts": list(job.said["pair"]),
                "k": job.said["k"],
                "alignment": alignment(scores[:, : len(views)]),
                "concealment": concealment(scores[:, : len(views)]),
                "scores": scores[:, : len(views)].tolist(),
                "ranks": [rank(scores[view], view) for view in range(len(views))],
            }
        )
    return found


def rms(a: Tensor, b: Tensor) -> Tensor:
    """Root mean square differences (A, B) between images (A, 3, H, W) and (B, 3, H, W) in -1 … 1, as parts of the full
    range: 0 for the same image, 1 for black against white."""
    return torch.cdist(a.flatten(1), b.flatten(1)) / a[0].numel() ** 0.5 / 2


def features(judge: Scorer, images: Tensor) -> Tensor:
    """The scorer's features, (N, 256), of unit length; the distance of two lies in 0 … 2."""
    return F.normalize(judge.see(images).features, dim=-1)


def nearest(judge: Scorer, drawn: Tensor, real: Tensor, training: Tensor) -> dict[str, Any]:
    """How near the drawn pictures come to the training pictures, and how near held-out real ones do.

    copies: the share of drawn pictures that are nearer to a training picture than nineteen in twenty of the held-out
    real ones. Quartiles of the distance to the nearest training picture, in pixels (`rms`) and in the scorer's
    features.
    """
    found: dict[str, Any] = {"n": len(drawn), "held out": len(real), "training pictures": len(training)}
    views: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
        ("pixels", lambda x: x.flatten(1) / (2 * x[0].numel() ** 0.5)),
        ("features", partial(features, judge)),
    )
    for space, view in views:
        among = view(training)
        ours, others = (torch.cdist(view(x), among).min(1).values for x in (drawn, real))
        found[space] = {
            "drawn": torch.quantile(ours, torch.tensor([0.25, 0.5, 0.75])).tolist(),
            "held-out real": torch.quantile(others, torch.tensor([0.25, 0.5, 0.75])).tolist(),
            "copies": wilson(int((ours < torch.quantile(others, 0.05)).sum()), len(ours)),
        }
    return found


def mean_distance(images: Tensor) -> float:
    """The mean `rms` difference of the pairs of N >= 2 images."""
    upper = torch.ones(len(images), len(images)).triu(1).bool()
    return rms(images, images)[upper].mean().item()


def diversity(jobs: Sequence[Job], images: Tensor, training: Tensor, captions: Sequence[Sequence[str]]) -> list[dict]:
    """How far the samples of each prompt lie apart, beside the training pictures that have it among their captions."""
    found = []
    for prompt in dict.fromkeys(job.said["prompt"] for job in jobs):
        rows = [row for row, job in enumerate(jobs) if job.said["prompt"] == prompt]
        same = [row for row, said in enumerate(captions) if prompt in said]
        found.append(
            {
                "prompt": prompt,
                "seeds": len(rows),
                "drawn": mean_distance(images[rows]),
                "training pictures": len(same),
                "training": mean_distance(training[same]) if len(same) > 1 else None,
            }
        )
    return found


def sdedit(lab: Lab, jobs: Sequence[Job], images: Tensor) -> dict[str, Any]:
    """The distance (`rms`) of each edit to its original, by image and i_start, and whether it falls at every step."""
    found: dict[str, dict[str, float]] = {}
    for job, edited in zip(jobs, images, strict=True):
        original = lab.image(job.said["image"]).float().cpu()
        distance = rms(edited[None], original[None]).item()
        found.setdefault(job.said["image"], {})[str(job.said["i_start"])] = distance
    falls = {image: list(row.values()) == sorted(row.values(), reverse=True) for image, row in found.items()}
    return {"distance": found, "falls": falls}


def evaluate() -> dict[str, Any]:
    """Draw everything, judge it, and return the numbers. Minutes on two cores."""
    began = time.monotonic()
    judge, lab = train_scorer.load(), Lab(models.load("pocket"))
    jobs = plan(lab)
    progress = Progress("drawing", sum(job.evaluations for part in jobs.values() for job in part))
    images = {name: draw(lab, part, progress) for name, part in jobs.items()}
    rgb, captions, _ = pictures.small()
    training = as_images(rgb)
    real = scorer_pictures.pictures()["icons"]
    plain = [row for row, job in enumerate(jobs["names"]) if job.said["gamma"] == lab.model.gamma]
    paired = [row for row, job in enumerate(jobs["unseen"]) if len(parse(job.said["prompt"]).phrases) == 2]
    placed = [row for row in range(len(jobs["unseen"])) if row not in paired]
    return {
        "model": {"name": lab.model.name, "digest": lab.model.digest},
        "scorer": {
            "digest": train_scorer.digest(),
            "held out": train_scorer.held_out(judge),
            "names": len(scorer.names()),
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "diffusers")}},
        "sampler": {"gamma": lab.model.gamma, "stride": STRIDE, "threshold": lab.schedule.threshold},
        "names": by(judge, jobs["names"], images["names"], "gamma"),
        "styles": by(judge, jobs["styles"], images["styles"], "gamma"),
        "unseen": [
            {"what": what} | judged(judge, images["unseen"][rows], [jobs["unseen"][row].said["prompt"] for row in rows])
            for what, rows in (("style and place", placed), ("pair", paired))
        ],
        "sweep": by(judge, jobs["sweep"], images["sweep"], "threshold", "gamma", "stride"),
        "strides": by(judge, jobs["strides"], images["strides"], "stride"),
        "nearest": nearest(judge, images["names"][plain], as_images(real.at(real.style == 0).rgb), training),
        "diversity": diversity(jobs["diversity"], images["diversity"], training, captions),
        "anagrams": illusions(judge, jobs["anagrams"], images["anagrams"], as_is, FLIP.view),
        "hybrids": illusions(judge, jobs["hybrids"], images["hybrids"], low_pass, as_is),
        "sdedit": sdedit(lab, jobs["sdedit"], images["sdedit"]),
        "evaluations": lab.model.evaluations,
        "seconds": time.monotonic() - began,
    }


def rounded(value: Any) -> Any:
    """The same, every float with four digits after the point."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    found = rounded(evaluate())
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
    (HERE / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    card.chart(found, HERE / "evaluation.svg")
    path = HERE / "MODEL_CARD.md"
    path.write_text(card.put(path.read_text(encoding="utf-8"), card.section(found)), encoding="utf-8")
    print(card.section(found))


if __name__ == "__main__":
    main()
