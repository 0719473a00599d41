"""Rearrangements, from which views are built: functions that permute the pixels of images (..., H, W).

Those of the visual_anagrams code (Geng et al. 2024, "Visual Anagrams") give identical pixels; its jigsaw only at 64
pixels, because that code redraws the pieces at larger sizes. Unsupported image sizes raise ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

Rearrangement = Callable[[Tensor], Tensor]


def quarter_turns(x: Tensor, count: int = 1) -> Tensor:
    """Rotates by `count` times 90 degrees counter-clockwise."""
    return torch.rot90(x, count, (-2, -1))


def square_hinge(x: Tensor) -> Tensor:
    """Rotates each of 3 x 3 squares by 90 degrees, opposite to its neighbours, as if hinged at their corners.

    If 3 does not divide the side, the remaining columns and rows at the right and the bottom keep their place.
    """
    out, size = x.clone(), x.shape[-1] // 3
    for row in range(3):
        for column in range(3):
            part = (..., slice(row * size, (row + 1) * size), slice(column * size, (column + 1) * size))
            out[part] = quarter_turns(x[part], 1 if (row + column) % 2 else -1)
    return out


def skew(x: Tensor, factor: float = 1.5) -> Tensor:
    """Rolls each column down by `factor` times its signed distance from the middle, truncated to whole pixels."""
    middle = x.shape[-2] // 2
    columns = [x[..., k].roll(int(factor * (k - middle)), -1) for k in range(x.shape[-1])]
    return torch.stack(columns, -1)


def patches(x: Tensor, per_side: int, seed: int = 0) -> Tensor:
    """Shuffles `per_side` x `per_side` patches, in the same order at every image size."""
    height, width = x.shape[-2:]
    if height % per_side or width % per_side:
        raise ValueError(f"{per_side} patches a side do not divide an image of {height} x {width} pixels")
    order = torch.randperm(per_side**2, generator=torch.Generator().manual_seed(seed))
    high, wide = height // per_side, width // per_side
    cut = x.unflatten(-1, (per_side, wide)).unflatten(-3, (per_side, high)).transpose(-3, -2).flatten(-4, -3)
    mixed = cut[..., order.to(x.device), :, :].unflatten(-3, (per_side, per_side))
    return mixed.transpose(-3, -2).flatten(-4, -3).flatten(-2)


def disc(x: Tensor, degrees: float, radius: float = 0.5) -> Tensor:
    """Rotates the central disc counter-clockwise; pixels outside keep their place. radius: in sides; 0.5 is inscribed.

    Multiples of 90 degrees are exact. The rest, at most 45 degrees, is three shears (Paeth 1986), each of which shifts
    rows or columns by whole pixels, so no two pixels collide and nothing is interpolated. The few pixels that leave the
    disc are assigned to its free positions at minimum total distance.
    """
    side = x.shape[-1]
    middle = (side - 1) / 2
    ys, xs = (axis.numpy() - middle for axis in torch.meshgrid(*[torch.arange(side)] * 2, indexing="ij"))
    inside = ys**2 + xs**2 < (radius * side) ** 2
    across, down = xs[inside], ys[inside]
    quarters = round(degrees / 90)
    rest = math.radians(degrees - 90 * quarters)
    for _ in range(quarters % 4):
        across, down = down, -across  # y points down
    across = across + np.rint(math.tan(rest / 2) * down)
    down = down - np.rint(math.sin(rest) * across)
    across = across + np.rint(math.tan(rest / 2) * down)
    free = inside.copy()
    row, column = ((axis + middle).astype(int) for axis in (down, across))
    lands = (row >= 0) & (row < side) & (column >= 0) & (column < side)
    lands[lands] = inside[row[lands], column[lands]]
    free[row[lands], column[lands]] = False
    left = np.argwhere(free)
    far = np.hypot(row[~lands, None] - left[:, 0], column[~lands, None] - left[:, 1])
    row[~lands], column[~lands] = left[linear_sum_assignment(far)[1]].T
    out = x.clone()
    out[..., torch.from_numpy(row), torch.from_numpy(column)] = x[..., torch.from_numpy(inside)]
    return out


# ------------------------------------------------------------------------------------------------------------- jigsaw

_BOARD = ((0, 8, 12, 1), (15, 4, 5, 9), (11, 7, 6, 13), (3, 14, 10, 2))
"""The piece at each place: corners 0 to 3, inner pieces 4 to 7, and on each edge one of 8 to 11 and one of 12 to 15. A
clockwise rotation by 90 degrees moves each piece to the place of the next one in its group of four."""

_KNOB = (4, 2, 4, 4, 2)  # width of a knob at each depth, in sixteenths of a piece
_KNOBS_RIGHT = ((0, 0), (0, 1), (0, 2), (1, 1))  # (row, column) of a quarter's pieces with a knob on that side
_KNOBS_DOWN = ((0, 1), (0, 2))


def jigsaw_pieces(side: int) -> Tensor:
    """Returns the piece that each pixel belongs to, (side, side). Raises ValueError unless 64 divides the side."""
    if side % 64:
        raise ValueError(f"a jigsaw of {side} pixels a side: the side must be a multiple of 64, to fit its knobs")
    cell, unit = side // 4, side // 64
    piece = torch.tensor(_BOARD).repeat_interleave(cell, 0).repeat_interleave(cell, 1)
    for _ in range(4):  # the same knobs on each quarter of the board
        for sheet, knobs in ((piece, _KNOBS_RIGHT), (piece.T, [(b, a) for a, b in _KNOBS_DOWN])):
            for row, column in knobs:
                owner, middle = sheet[row * cell, column * cell].item(), row * cell + cell // 2
                for depth, width in enumerate(_KNOB):
                    left, half = (column + 1) * cell + depth * unit, width * unit // 2
                    sheet[middle - half : middle + half, left : left + unit] = owner
        piece = torch.rot90(piece).contiguous()
    return piece


def jigsaw(x: Tensor, seed: int = 11) -> Tensor:
    """Shuffles sixteen pieces, rotated to fit: corners, inner pieces and edge pieces each among themselves."""
    pieces = jigsaw_pieces(x.shape[-1]).to(x.device)
    chance, cell = np.random.RandomState(seed), x.shape[-1] // 4
    places = [chance.permutation(4) for _ in range(4)]
    for edge, swapped in enumerate(chance.randint(2, size=4)):  # two pieces on one edge have the same outline
        if swapped:
            top, on = quarter_turns(x, edge), quarter_turns(pieces, edge)
            top = torch.where(
                on == 8 + edge, top.roll(-cell, -1), torch.where(on == 12 + edge, top.roll(cell, -1), top)
            )
            x = quarter_turns(top, -edge)
    out = x
    for kind, place in enumerate(places):
        for turn, comes_from in enumerate(place):
            out = torch.where(pieces == 4 * kind + turn, quarter_turns(x, int(comes_from) - turn), out)
    return out


inner_circle = partial(disc, degrees=180, radius=0.375)
