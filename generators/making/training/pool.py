"""The training pictures as pixels: a rolling pool in which new drawings replace the oldest ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..drawings import data
from .loop import DEVICE

TRAINING, VALIDATION = 1, 999  # disjoint sequences of drawings, for training and for the held-out error
WORKERS, BLOCK = 2, 32  # processes that draw in advance; pictures that they hand over at a time
DETAILS, SIDE = 12, 256  # crops per drawing at 1024 pixels, which is slow to render; their side in pixels


class Picture(NamedTuple):
    """rgb: uint8 (3, H, W). captions: alternative descriptions."""

    rgb: Tensor
    captions: tuple[str, ...]


def drawing(number: int, sequence: int = TRAINING) -> tuple[data.Drawing, np.random.Generator]:
    """Returns drawing `number` of a sequence, and its random generator for further draws."""
    rng = np.random.default_rng([sequence, number])
    return data.draw(rng), rng


def picture_64(number: int, sequence: int = TRAINING) -> list[Picture]:
    """Returns the drawing at 64 pixels, for stage 1: the 2 x 2 average of its rendering at 128."""
    drawn, _ = drawing(number, sequence)
    rgb = drawn.render(128).reshape(64, 2, 64, 2, 3).mean((1, 3)).round().astype(np.uint8)
    return [Picture(_channels_first(rgb), drawn.captions)]


def picture_256(number: int, sequence: int = TRAINING) -> list[Picture]:
    """Returns the drawing at 256 pixels, for stage 2."""
    drawn, _ = drawing(number, sequence)
    return [Picture(_channels_first(drawn.render(256)), drawn.captions)]


def crops_1024(number: int, sequence: int = TRAINING) -> list[Picture]:
    """Returns crops of the drawing at 1024 pixels, aligned to 4 pixels, for stage 3; favours crops with more detail."""
    drawn, rng = drawing(number, sequence)
    rendered = drawn.render(1024)
    corners = 4 * rng.integers(0, (1024 - SIDE) // 4 + 1, (4 * DETAILS, 2))
    squares = np.stack([rendered[y : y + SIDE, x : x + SIDE] for y, x in corners])
    odds = 2.0 + squares[:, ::4, ::4].std((1, 2)).mean(-1)  # most of a drawing is uniform
    chosen = squares[rng.choice(len(squares), DETAILS, replace=False, p=odds / odds.sum())]
    return [Picture(_channels_first(square), drawn.captions) for square in chosen]


def _channels_first(rgb: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))


class Endless(IterableDataset):
    """The pictures of `draw(number)` for all numbers from `first` on; several workers share the numbers."""

    def __init__(self, draw: Callable[[int], list[Picture]], first: int) -> None:
        self.draw, self.first = draw, first

    def __iter__(self) -> Iterator[Picture]:
        info = get_worker_info()
        number, step = (self.first + info.id, info.num_workers) if info else (self.first, 1)
        while True:
            yield from self.draw(number)
            number += step


def collate(some: list[Picture]) -> tuple[Tensor, list[tuple[str, ...]]]:
    """Returns the pixels of N pictures, (N, 3, H, W), and their captions."""
    return torch.stack([picture.rgb for picture in some]), [picture.captions for picture in some]


class Pool:
    """The latest `size` pictures of an endless sequence, from which batches are drawn; a multiple of BLOCK, on DEVICE.

    draw: returns the pictures of a number. uses: how often a picture is used on average before it is replaced.
    """

    def __init__(
        self, draw: Callable[[int], list[Picture]], size: int, uses: int, first: int = 0, workers: int = WORKERS
    ) -> None:
        ahead = {"num_workers": workers, "prefetch_factor": 4} if workers else {}
        self._drawn = iter(DataLoader(Endless(draw, first), BLOCK, collate_fn=collate, **ahead))  # type: ignore
        blocks = islice(self._drawn, -(-size // BLOCK))
        some = [(rgb.clone(), captions) for rgb, captions in blocks]  # a clone frees the worker's shared memory
        self._rgb = torch.cat([rgb for rgb, _ in some]).to(DEVICE)
        self._captions = [captions for _, of_block in some for captions in of_block]
        self._uses, self._oldest, self._due = uses, 0, 0.0

    def batch(self, count: int, rng: torch.Generator) -> tuple[Tensor, list[str]]:
        """Returns `count` random pictures in -1 … 1, (N, 3, H, W), and a caption of each. First replaces the oldest
        pictures, count / uses of them on average."""
        self._due += count / self._uses
        while self._due >= BLOCK:
            places = slice(self._oldest, self._oldest + BLOCK)
            self._rgb[places], self._captions[places] = next(self._drawn)
            self._oldest, self._due = (self._oldest + BLOCK) % len(self._captions), self._due - BLOCK
        index, which = torch.randint(len(self._captions), (count,), generator=rng), torch.rand(count, generator=rng)
        captions = [self._captions[k] for k in index.tolist()]
        chosen = [some[int(share * len(some))] for some, share in zip(captions, which.tolist(), strict=True)]
        return as_images(self._rgb[index.to(DEVICE)]), chosen


def as_images(rgb: Tensor) -> Tensor:
    """Converts uint8 pictures to float images in -1 … 1."""
    return rgb.float() / 127.5 - 1


def validation_set(count: int) -> tuple[Tensor, list[str]]:
    """Returns `count` held-out pictures in -1 … 1, (N, 3, 64, 64), and the first caption of each."""
    some = [picture for number in range(count) for picture in picture_64(number, VALIDATION)]
    return as_images(torch.stack([rgb for rgb, _ in some])), [captions[0] for _, captions in some]
