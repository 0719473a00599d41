"""Views of an image for visual anagrams. A view permutes the pixels and may negate their values.

A view must be orthogonal (Geng et al. 2024, "Visual Anagrams", section 3.3): only then does Gaussian noise stay
independent per pixel with variance 1, as in the network's training. Permutations with a sign are orthogonal; blurring
is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial

import torch
from torch import Tensor

from ..records.errors import ViewError
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

SIDE = 64  # pixels per side of the test images on which a new view is checked


_NOT_ORTHOGONAL = (
    "this view is not orthogonal: it must keep noise Gaussian, of variance 1 and independent per pixel, because the "
    "network was trained on no other (Geng et al. 2024, section 3.3); move each pixel to a distinct position and "
    "change at most the sign"
)


def still(x: Tensor) -> Tensor:
    """Returns x unchanged."""
    return x


def flip(x: Tensor) -> Tensor:
    """Flips x vertically: reverses the rows. Unlike a rotation by 180 degrees, keeps the columns."""
    return x.flip(-2)


@dataclass(frozen=True)
class View:
    """An orthogonal view: `move` permutes the pixels of images (..., H, W), `back` is its inverse, `sign` is 1 or -1.

    Permutation and sign are separate because a learned variance is permuted but never negated.
    Raises ViewError if the view is not orthogonal or `back` is not the inverse, checked on 64 x 64 images.
    """

    move: Rearrangement
    back: Rearrangement
    sign: int = 1

    def __post_init__(self) -> None:
        # Numbered pixels reveal the permutation. Noise must follow the same one: `move` must not depend on values.
        numbered = torch.arange(3 * SIDE**2, dtype=torch.float64).view(3, SIDE, SIDE)
        noise = torch.randn(numbered.shape, generator=torch.Generator().manual_seed(0))
        order = self.move(numbered).flatten()
        moves_all = _is_permutation(order) and torch.equal(self.move(noise).flatten(), noise.flatten()[order.long()])
        if self.sign not in (1, -1) or not moves_all:
            raise ViewError(_NOT_ORTHOGONAL)
        if not torch.equal(self.back(self.move(noise)), noise):
            raise ViewError("this view's `back` does not undo its `move`; `permutation` computes the inverse")

    def __call__(self, x: Tensor) -> Tensor:
        return self.sign * self.move(x)

    def inverse(self, x: Tensor) -> Tensor:
        return self.sign * self.back(x)


def _is_permutation(order: Tensor) -> bool:
    """Returns whether `order`, (N,), contains each of 0 … N - 1 once."""
    return torch.equal(order.sort().values, torch.arange(len(order), dtype=order.dtype, device=order.device))


def permutation(rearrangement: Rearrangement) -> View:
    """Returns the view that applies `rearrangement`, with its exact inverse.

    rearrangement: permutes the pixels of an image (..., H, W). It is called once per size, on the pixels' indices
    (H, W). Raises ViewError if it drops or duplicates pixels; at sizes other than 64 x 64, when the view is first used.
    """

    @lru_cache
    def orders(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Returns the source index of each position, (H W,), and the inverse permutation."""
        order = rearrangement(torch.arange(height * width).view(height, width)).flatten()
        if not _is_permutation(order):
            raise ViewError(_NOT_ORTHOGONAL)
        return order.to(device), order.argsort().to(device)

    def permuted(which: int, x: Tensor) -> Tensor:
        return x.flatten(-2)[..., orders(*x.shape[-2:], x.device)[which]].view(x.shape)

    return View(partial(permuted, 0), partial(permuted, 1))


def rotation(degrees: float) -> View:
    """Rotates counter-clockwise: the whole image by multiples of 90 degrees, by other angles its inscribed disc."""
    if degrees % 90 == 0:
        return permutation(partial(quarter_turns, count=int(degrees // 90) % 4))
    return permutation(partial(disc, degrees=degrees))


IDENTITY = View(still, still)
FLIP = View(flip, flip)
NEGATIVE = View(still, still, sign=-1)
TURNED = rotation(180)
JIGSAW = permutation(jigsaw)

VIEWS: dict[str, Callable[[], View]] = {  # by name, created on first use
    "identity": lambda: IDENTITY,
    "flip": lambda: FLIP,
    "negative": lambda: NEGATIVE,
    "hinge": lambda: permutation(square_hinge),
    "skew": lambda: permutation(skew),
    "jigsaw": lambda: JIGSAW,
    "circle": lambda: permutation(inner_circle),
    "patches": lambda: permutation(partial(patches, per_side=8)),
    "pixels": lambda: permutation(partial(patches, per_side=64)),
}


@cache
def named(name: str) -> View:
    """Returns the view of that name: a key of VIEWS, or "rotate" with degrees, such as rotate90 or rotate-45.

    Raises ViewError if there is none.
    """
    if name in VIEWS:
        return VIEWS[name]()
    if turn := re.fullmatch(r"rotate(-?\d{1,4}(?:\.\d{1,4})?)", name):
        return rotation(float(turn[1]))
    raise ViewError(f"there is no view {name!r}; the views are {', '.join(VIEWS)}, and rotate90 or any angle")
