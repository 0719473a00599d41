"""Views of an image for anagrams. A view moves the pixels about, and may then change the sign of their values.

It must keep Gaussian noise Gaussian and independent from pixel to pixel, or the network no longer sees noise that it
knows: it must be orthogonal (Geng et al. 2024, "Visual Anagrams", section 3.3). These are; blurring is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial

import torch
from torch import Tensor

from .rearrangements import (
    Rearrangement,
    disc,
    inner_circle,
    jigsaw,
    patches,
    quarter_turns,
    skew,
    square_hinge,
)

SIDE = 64  # of the images on which a new view is tried


_NOT_ORTHOGONAL = (
    "this view is not orthogonal: through it, noise would not stay Gaussian, of variance 1 and independent from pixel "
    "to pixel, and the network knows no other (Geng et al. 2024, section 3.3); give each pixel a place of its own, and "
    "change no more than signs"
)


class ViewError(ValueError):
    """A view that cannot be had, or that would show the network what is not noise. One line."""


def still(x: Tensor) -> Tensor:
    """Every pixel where it is."""
    return x


def flip(x: Tensor) -> Tensor:
    """Upside down: the rows in reverse order. The columns stay, unlike in a half turn."""
    return x.flip(-2)


@dataclass(frozen=True)
class View:
    """move: of images (..., H, W), pixels to other places; back: undoes it. sign: 1 or -1, a factor of the values.

    The two are kept apart because a learned variance has no sign: it lies at a pixel and goes where the pixel goes.
    Raises ViewError where this is not an orthogonal view with its inverse; it is tried on an image of 64 x 64 pixels.
    """

    move: Rearrangement
    back: Rearrangement
    sign: int = 1

    def __post_init__(self) -> None:
        # Numbered pixels tell where each comes from; noise must then be moved just so, by its place and not its value.
        numbered = torch.arange(3 * SIDE**2, dtype=torch.float64).view(3, SIDE, SIDE)
        noise = torch.randn(numbered.shape, generator=torch.Generator().manual_seed(0))
        order = self.move(numbered).flatten()
        moves_all = _is_permutation(order) and torch.equal(self.move(noise).flatten(), noise.flatten()[order.long()])
        if self.sign not in (1, -1) or not moves_all:
            raise ViewError(_NOT_ORTHOGONAL)
        if not torch.equal(self.back(self.move(noise)), noise):
            raise ViewError("this view's `back` does not undo its `move`; `permutation` finds it for you")

    def __call__(self, x: Tensor) -> Tensor:
        return self.sign * self.move(x)

    def inverse(self, x: Tensor) -> Tensor:
        return self.sign * self.back(x)


def _is_permutation(order: Tensor) -> bool:
    """Whether the numbers from 0 on stand in it, each once."""
    return torch.equal(order.sort().values, torch.arange(len(order), dtype=order.dtype, device=order.device))


def permutation(rearrangement: Rearrangement) -> View:
    """The view that moves pixels as `rearrangement` does, with its exact inverse.

    rearrangement: from an image (..., H, W) to one of that shape with the same pixels at other places; it is asked once
    for each size, about the pixels' numbers. Raises ViewError where it loses pixels or doubles them.
    """

    @lru_cache
    def orders(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Which pixel comes to each place, and the inverse: to which place each pixel goes."""
        order = rearrangement(torch.arange(height * width).view(height, width)).flatten()
        if not _is_permutation(order):
            raise ViewError(_NOT_ORTHOGONAL)
        return order.to(device), order.argsort().to(device)

    def along(which: int, x: Tensor) -> Tensor:
        return x.flatten(-2)[..., orders(*x.shape[-2:], x.device)[which]].view(x.shape)

    return View(partial(along, 0), partial(along, 1))


def rotation(degrees: float) -> View:
    """Turned counter-clockwise: by multiples of 90 degrees as a whole, by others the disc in the middle alone."""
    if degrees % 90 == 0:
        return permutation(partial(quarter_turns, count=int(degrees // 90) % 4))
    return permutation(partial(disc, degrees=degrees))


IDENTITY = View(still, still)
FLIP = View(flip, flip)
NEGATIVE = View(still, still, sign=-1)

VIEWS: dict[str, Callable[[], View]] = {  # by name, made when asked for
    "identity": lambda: IDENTITY,
    "flip": lambda: FLIP,
    "negative": lambda: NEGATIVE,
    "hinge": lambda: permutation(square_hinge),
    "skew": lambda: permutation(skew),
    "jigsaw": lambda: permutation(jigsaw),
    "circle": lambda: permutation(inner_circle),
    "patches": lambda: permutation(partial(patches, per_side=8)),
    "pixels": lambda: permutation(partial(patches, per_side=64)),
}


@cache
def named(name: str) -> View:
    """The view of that name in VIEWS, or "rotate" and degrees, such as rotate90 or rotate-45. Raises ViewError."""
    if name in VIEWS:
        return VIEWS[name]()
    if turn := re.fullmatch(r"rotate(-?\d{1,4}(?:\.\d{1,4})?)", name):
        return rotation(float(turn[1]))
    raise ViewError(f"there is no view {name!r}; the views are {', '.join(VIEWS)}, and rotate90 and any other angle")
