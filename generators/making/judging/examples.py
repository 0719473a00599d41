"""The training examples of the judges: augmented drawings, in a pool."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..drawings.styles import GREY
from ..training.pool import as_images
from .labelled import LabelledPictures, labelled, training_drawing

USES = 8  # average uses of an example
AUGMENTATIONS = 4  # examples of each drawing
START, POOL = 512, 8192  # examples in the pool at the start, and at most
IGNORED = -100  # cross_entropy's ignore_index


class Examples(NamedTuple):
    """N augmented drawings as a judge's input, in half precision; the numbers of their names, (N, 2), of their style
    and of their place, (N,). The style is IGNORED if the augmentation removed it."""

    inputs: Tensor
    names: Tensor
    style: Tensor
    place: Tensor


class ExamplePool:
    """A pool of the latest POOL examples from the drawings of one random sequence, from `first` on.

    prepare: returns a judge's input. Each drawing gives AUGMENTATIONS separately augmented examples, each used several
    times, because drawing, augmenting and preparing take longer than an update.
    """

    def __init__(self, prepare: Callable[[Tensor], Tensor], sequence: int, first: int = 0) -> None:
        self._prepare, self._count = prepare, 0
        self._drawn = (training_drawing(np.random.default_rng([sequence, number])) for number in count(first))
        some = self._next(START, torch.Generator().manual_seed(sequence))
        self._kept = Examples(*(part.new_empty(POOL, *part.shape[1:]) for part in some))
        self._keep(some)

    def _next(self, size: int, rng: torch.Generator) -> Examples:
        """Returns at least so many new examples."""
        drawings = list(islice(self._drawn, -(-size // AUGMENTATIONS)))
        drawn = LabelledPictures(*(part.repeat_interleave(AUGMENTATIONS, 0) for part in labelled(drawings)))
        images, styled = augment(as_images(drawn.rgb), rng)
        style = torch.where(styled, drawn.style, IGNORED)
        return Examples(self._prepare(images).half(), drawn.names, style, drawn.place)

    def _keep(self, some: Examples) -> None:
        places = torch.arange(self._count, self._count + len(some.names)) % POOL
        for kept, part in zip(self._kept, some, strict=True):
            kept[places] = part
        self._count += len(places)

    def batch(self, size: int, rng: torch.Generator) -> Examples:
        """Returns so many examples, after replacing the oldest by a share of 1 / USES new ones."""
        self._keep(self._next(-(-size // USES), rng))
        index = torch.randint(min(self._count, POOL), (size,), generator=rng)
        return Examples(*(part[index] for part in self._kept))


def augment(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Turns, shifts, scales, mirrors, blurs and recolours images (N, 3, 64, 64), and adds a hole and noise. Also
    returns whether each keeps its style, (N,): half are recoloured, a third of these in grey, so that shapes are
    learned.

    A fifth are blurred like a hybrid seen from far away: a box of 7 pixels, whose sigma is 2.
    """
    n = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    zoom, stretch, turn = torch.exp(uniform(-0.25, 0.25)), torch.exp(uniform(-0.12, 0.12)), uniform(-0.25, 0.25)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * zoom * stretch * turn.cos(), -zoom * turn.sin()
    theta[:, 1, 0], theta[:, 1, 1] = mirror * zoom * stretch * turn.sin(), zoom * turn.cos()
    theta[:, :, 2] = uniform(-0.15, 0.15, 2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    x = F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    near, far = (F.avg_pool2d(F.pad(x, (k // 2,) * 4, mode="replicate"), k, stride=1) for k in (3, 7))
    x = torch.lerp(x, near, uniform(-1, 1, 1, 1, 1).clamp(0, 1))
    x = torch.where(uniform(0, 1, 1, 1, 1) < 0.2, far, x)

    recoloured, grey = uniform(0, 1, 1, 1, 1) < 0.5, uniform(0, 1, 1, 1, 1) < 1 / 3
    tone = torch.einsum("c,nchw->nhw", torch.from_numpy(GREY), x)[:, None].expand_as(x)
    matrix = torch.eye(3) + 0.06 * torch.randn(n, 3, 3, generator=generator)
    other = torch.einsum("ncd,ndhw->nchw", matrix, torch.where(grey, tone, x))
    other = other * uniform(0.75, 1.15, 1, 1, 1) + uniform(-0.12, 0.12, 1, 1, 1)
    x = torch.where(recoloured, other, x)

    side, at = uniform(8, 22, 1, 1), uniform(0, 64, 2, 1)
    pixel = torch.arange(64).expand(n, 2, 64)
    inside = (pixel - at).abs() < side / 2
    hole = inside[:, 0, :, None] & inside[:, 1, None, :] & (uniform(0, 1, 1, 1) < 0.3)
    x = torch.where(hole[:, None], uniform(-1, 1, 3, 1, 1), x)
    noise = torch.randn(x.shape, generator=generator)
    return (x + uniform(0, 0.12, 1, 1, 1) * noise).clamp(-1, 1), ~recoloured.view(n)
