"""Measures of pictures that need no model: shares, distances, steps across borders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


def wilson(hits: int, n: int, z: float = 1.96) -> list[float]:
    """Returns the share of hits and Wilson's score interval (Wilson 1927): [share, low, high], 95% at z = 1.96.

    Raises ValueError without a trial, or for more hits than trials.
    """
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"{hits} hits of {n}: needs at least one trial and no more hits than trials")
    share = hits / n
    middle, root = share + z * z / (2 * n), z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return [share, (middle - root) / (1 + z * z / n), (middle + root) / (1 + z * z / n)]


# ---------------------------------------------------------------------------------------------------------- distances


def rms(a: Tensor, b: Tensor) -> Tensor:
    """Returns root mean square differences (A, B) between images (A, 3, H, W) and (B, 3, H, W) in -1 … 1, as fractions
    of the full range: 0 for equal images, 1 for black against white."""
    return torch.cdist(a.flatten(1), b.flatten(1)) / a[0].numel() ** 0.5 / 2


def mean_distance(images: Tensor) -> float:
    """Returns the mean `rms` difference over all pairs of N >= 2 images."""
    upper = torch.ones(len(images), len(images)).triu(1).bool()
    return rms(images, images)[upper].mean().item()


def quartiles(values: Tensor) -> list[float]:
    return torch.quantile(values, torch.tensor([0.25, 0.5, 0.75])).tolist()


def copies(drawn: Tensor, held_out: Tensor) -> list[float]:
    """Returns the share of drawn pictures that are copies, with Wilson's interval, from the distances of drawn and
    held-out pictures, (N,) and (M,), to their nearest training picture.

    A copy is nearer than 19 in 20 of the held-out ones, so 1 in 20 new drawings of the same kind would count as one.
    """
    return wilson(int((drawn < torch.quantile(held_out, 0.05)).sum()), len(drawn))


def falls(distances: Sequence[float]) -> bool:
    """Whether each distance is smaller than the previous one."""
    return all(after < before for before, after in pairwise(distances))


# ------------------------------------------------------------------------------------------- steps from pixel to pixel


def seams(images: Tensor, period: int, among: int = 1) -> float:
    """Returns the mean absolute step between neighbouring pixels across patch borders, over that inside the patches.

    images: (N, 3, H, W); patches are `period` pixels wide and high. among: compares only places at multiples of so many
    pixels, such as the borders between the pixels of the smaller image that was enlarged. 1 if the borders of patches
    are invisible. Half a patch along each edge is left out: it has no border and little content, and with it drawings,
    which know no patches, had 1.08.
    """
    across, inside = [], []
    for axis in (-2, -1):
        steps = images.diff(dim=axis).abs().movedim(axis, 0).flatten(1)
        place = torch.arange(1, len(steps) + 1)  # of the second of the two pixels
        near = (place > period // 2) & (place < len(steps) + 1 - period // 2) & (place % among == 0)
        across.append(steps[near & (place % period == 0)].flatten())
        inside.append(steps[near & (place % period != 0)].flatten())
    return (torch.cat(across).mean() / torch.cat(inside).mean()).item()
