"""Rearrangements of pixels, of which views are made: functions of images (…, H, W) that move whole pixels and no more.

Those of visual_anagrams (Geng et al. 2024, "Visual Anagrams") give the same pixels as that code; its jigsaw only at 64
pixels, for larger ones have pieces drawn anew there. Sides that a rearrangement cannot serve raise ValueError.
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
    """Turned by 90 degrees, counter-clockwise, as often as `count`."""
    return torch.rot90(x, count, (-2, -1))


def square_hinge(x: Tensor) -> Tensor:
    """Nine squares, each turned by a quarter against its neighbours, as if hinged at their corners.

    What 3 does not divide of the side stays still at the right and at the bottom.
    """
    out, size = x.clone(), x.shape[-1] // 3
    for row in range(3):
        for column in range(3):
            part = (..., slice(row * size, (row + 1) * size), slice(column * size, (column + 1) * size))
            out[part] = quarter_turns(x[part], 1 if (row + column) % 2 else -1)
    return out


def skew(x: Tensor, factor: float = 1.5) -> Tensor:
    """Each column rolled down by `factor` times its distance from the middle, in whole pixels."""
    middle = x.shape[-2] // 2
    columns = [x[..., k].roll(int(factor * (k - middle)), -1) for k in range(x.shape[-1])]
    return torch.stack(columns, -1)


def patches(x: Tensor, per_side: int, seed: int = 0) -> Tensor:
    """`per_side` x `per_side` patches in an order drawn by chance, the same for images of every size."""
    height, width = x.shape[-2:]
    if height % per_side or width % per_side:
        raise ValueError(f"{per_side} patches a side do not divide an image of {height} x {width} pixels")
    order = torch.randperm(per_side**2, generator=torch.Generator().manual_seed(seed))
    high, wide = height // per_side, width // per_side
    cut = x.unflatten(-1, (per_side, wide)).unflatten(-3, (per_side, high)).transpose(-3, -2).flatten(-4, -3)
    mixed = cut[..., order.to(x.device), :, :].unflatten(-3, (per_side, per_side))
    return mixed.transpose(-3, -2).flatten(-4, -3).flatten(-2)


def disc(x: Tensor, degrees: float, radius: float = 0.5) -> Tensor:
    """The disc in the middle, turned counter-clockwise; what lies outside of it stays. radius: 0.5 touches the sides.

    Quarter turns are exact. The rest, at most 45 degrees, is three shears (Paeth 1986), each of which shifts rows or
    columns by whole pixels. So no two pixels meet and no value is interpolated. The few that the shears carry over the
    rim take the nearest of the places that are left free there.
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
    for part in (math.tan(rest / 2), 0, math.tan(rest / 2)):
        if part:
            across = across + np.rint(part * down)
        else:
            down = down - np.rint(math.sin(rest) * across)
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
"""Which piece lies where: corners 0 to 3, inner pieces 4 to 7, and on each edge one of 8 to 11 and one of 12 to 15. A
quarter turn clockwise carries each piece to the place of the next of its four."""

_KNOB = (4, 2, 4, 4, 2)  # how wide a knob is at each depth, in sixteenths of a piece
_KNOBS_RIGHT = ((0, 0), (0, 1), (0, 2), (1, 1))  # row and column of the pieces of a quarter that have knobs there
_KNOBS_DOWN = ((0, 1), (0, 2))


def jigsaw_pieces(side: int) -> Tensor:
    """The number of the piece to which each pixel belongs, (side, side). Raises ValueError where 64 divides not."""
    if side % 64:
        raise ValueError(f"a jigsaw of {side} pixels a side: 64 must divide them, or its knobs do not lie on pixels")
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
    """Sixteen pieces laid anew, each turned as it must be to fit: corners, inner and edge pieces among themselves."""
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
