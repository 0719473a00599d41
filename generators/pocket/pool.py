"""The training pictures as pixels: a rolling pool, in which new drawings take the place of those that were used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from . import data

TRAINING, WATCHING = 1, 999  # two sequences of drawings that have nothing in common: to learn from, to watch by
SIZE = 16_384  # pictures in the pool
USES = 4  # of a picture, on average, before another one takes its place
WORKERS = 2  # processes that draw, ahead of what is asked for


class Picture(NamedTuple):
    """rgb: uint8 (3, H, W). captions: the sentences that describe it."""

    rgb: Tensor
    captions: tuple[str, ...]


def picture(number: int, sequence: int = TRAINING, size: int = 64) -> Picture:
    """Drawing `number` of a sequence, at `size` pixels: the 2 x 2 average of a rendering of twice as many."""
    drawing = data.draw(np.random.default_rng([sequence, number]))
    rgb = drawing.render(2 * size).reshape(size, 2, size, 2, 3).mean((1, 3))
    return Picture(torch.from_numpy(rgb.round().astype(np.uint8)).permute(2, 0, 1), drawing.captions)


class Endless(IterableDataset):
    """The drawings of TRAINING from number `first` on; with several workers each draws its share."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __iter__(self) -> Iterator[Picture]:
        info = get_worker_info()
        number, step = (self.first + info.id, info.num_workers) if info else (self.first, 1)
        while True:
            yield picture(number)
            number += step


class Pool:
    """The latest `size` drawings from number `first` on, to draw batches from."""

    def __init__(self, first: int = 0, size: int = SIZE, workers: int = WORKERS) -> None:
        ahead = 128 if workers else None
        self._drawn = iter(DataLoader(Endless(first), batch_size=None, num_workers=workers, prefetch_factor=ahead))
        some = [next(self._drawn) for _ in range(size)]
        self._rgb, self._captions = torch.stack([rgb for rgb, _ in some]), [captions for _, captions in some]
        self._oldest, self._due = 0, 0.0

    def batch(self, count: int, rng: torch.Generator) -> tuple[Tensor, list[str]]:
        """`count` pictures in -1 … 1, (N, 3, 64, 64), and one caption of each. Renews its share of the pool first."""
        self._due += count / USES
        while self._due >= 1:
            self._rgb[self._oldest], self._captions[self._oldest] = next(self._drawn)
            self._oldest, self._due = (self._oldest + 1) % len(self._captions), self._due - 1
        index = torch.randint(len(self._captions), (count,), generator=rng)
        said = [self._captions[k] for k in index.tolist()]
        chosen = [some[int(torch.randint(len(some), (), generator=rng))] for some in said]
        return self._rgb[index].float() / 127.5 - 1, chosen


def watched(count: int) -> tuple[Tensor, list[str]]:
    """Pictures that no training has seen, in -1 … 1, (N, 3, 64, 64), and the first caption of each."""
    some = [picture(number, WATCHING) for number in range(count)]
    return torch.stack([rgb for rgb, _ in some]).float() / 127.5 - 1, [captions[0] for _, captions in some]
