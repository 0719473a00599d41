"""Scores of pictures with several readings, after Geng et al. 2024, "Visual Anagrams".

A reading is what a picture should show in one view. The paper's scores are CLIP similarities; here they are the judges'
log-probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .judge import Judges

PROMPTS = (
    "an oil painting of a snowy mountain village", "an oil painting of people around a campfire",
    "an oil painting of an old man", "a photo of the amalfi coast", "a photo of a man", "a photo of a hipster barista",
    "a photo of a dog", "a lithograph of waterfalls", "a lithograph of a skull", "a photo of a city",
    "an oil painting of a tower", "a lithograph of a castle", "a photo of a lion", "an oil painting of a sailboat",
    "a lithograph of an elephant", "a photo of a trophy", "an oil painting of a rose", "a lithograph of a horse",
    "a photo of a penguin", "an oil painting of a fox", "a lithograph of a whale", "a photo of a robot",
)  # fmt: skip
AMONG = 20  # prompts among which a reading is ranked: those of its picture, then PROMPTS


def alignment(scores: Tensor) -> float:
    """A = min_i S_ii: the score of the worse reading.

    scores: S, (V, V), of view i under prompt j; here log-probabilities, so 0 is best.
    """
    return scores.diagonal().min().item()


def concealment(scores: Tensor) -> float:
    """C = tr(softmax(S)) / V, after the paper's concealment score.

    1 if each view shows only its own prompt, 1 / V if the views are indistinguishable. Averaging the softmax over
    prompts and that over views is this project's choice. The paper divides CLIP's cosines by its temperature; these
    scores are already log-probabilities, at temperature 1.
    """
    return (scores.softmax(0).trace() + scores.softmax(1).trace()).item() / (2 * len(scores))


def rank(scores: Tensor, own: int) -> int:
    """Returns the rank of the prompt of index `own` among one image's scores (P,); 1 is best."""
    return 1 + int((scores > scores[own]).sum())


def score_readings(judges: Judges, views: Tensor, prompts: Sequence[str]) -> dict[str, Any]:
    """Scores the views of one picture, (V, 3, 64, 64) in -1 … 1, against the prompt of each, and ranks it among AMONG.

    scores: by view and prompt, from the first judge; alignment and concealment follow from them. ranks: of each view's
    own prompt, by the first judge; by the second under "second". Raises ValueError for a prompt with an unknown name.
    """
    known = list(dict.fromkeys((*prompts, *PROMPTS)))[:AMONG]
    first, second = (judge.scores(views, known) for judge in judges)
    own = first[:, : len(prompts)]
    return {
        "prompts": list(prompts),
        "alignment": alignment(own),
        "concealment": concealment(own),
        "scores": own.tolist(),
        "ranks": [rank(scores, number) for number, scores in enumerate(first)],
        "second": [rank(scores, number) for number, scores in enumerate(second)],
    }
