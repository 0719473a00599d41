"""Measures of pictures and of judgements that need no model: shares, ranks, distances, steps across borders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


def wilson(hits: int, n: int, z: float = 1.96) -> list[float]:
    """The share of hits and Wilson's score interval around it (Wilson 1927): [share, low, high], 95% at z = 1.96.

    Raises ValueError without a trial, or where there are more hits than trials.
    """
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"{hits} hits of {n}: at least one trial, and no more hits than trials")
    share = hits / n
    middle, root = share + z * z / (2 * n), z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return [share, (middle - root) / (1 + z * z / n), (middle + root) / (1 + z * z / n)]


# ---------------------------------------------------------------------------------------------------------- illusions


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


# ---------------------------------------------------------------------------------------------------------- distances


def rms(a: Tensor, b: Tensor) -> Tensor:
    """Root mean square differences (A, B) between images (A, 3, H, W) and (B, 3, H, W) in -1 … 1, as parts of the full
    range: 0 for the same image, 1 for black against white."""
    return torch.cdist(a.flatten(1), b.flatten(1)) / a[0].numel() ** 0.5 / 2


def mean_distance(images: Tensor) -> float:
    """The mean `rms` difference of the pairs of N >= 2 images."""
    upper = torch.ones(len(images), len(images)).triu(1).bool()
    return rms(images, images)[upper].mean().item()


def quartiles(values: Tensor) -> list[float]:
    return torch.quantile(values, torch.tensor([0.25, 0.5, 0.75])).tolist()


def copies(drawn: Tensor, held_out: Tensor) -> list[float]:
    """The share of the drawn pictures that are copies, with Wilson's interval, from the distances of drawn pictures and
    of held-out ones, (N,) and (M,), to their nearest training picture.

    A copy is nearer than nineteen in twenty of the held-out ones: of new drawings of the training pictures' own kind,
    one in twenty would be called so.
    """
    return wilson(int((drawn < torch.quantile(held_out, 0.05)).sum()), len(drawn))


def falls(distances: Sequence[float]) -> bool:
    """Whether each distance is smaller than the one before."""
    return all(after < before for before, after in pairwise(distances))


# ------------------------------------------------------------------------------------------- steps from pixel to pixel


def seams(images: Tensor, period: int) -> float:
    """The mean absolute step between neighbouring pixels across the borders of patches, over that inside of them.

    images: (N, 3, H, W); the patches are `period` pixels wide and high. 1 where the borders cannot be told.
    """
    across, inside = [], []
    for axis in (-2, -1):
        steps = images.diff(dim=axis).abs().movedim(axis, 0).flatten(1)
        at_border = torch.arange(1, len(steps) + 1) % period == 0
        across.append(steps[at_border].flatten())
        inside.append(steps[~at_border].flatten())
    return (torch.cat(across).mean() / torch.cat(inside).mean()).item()
