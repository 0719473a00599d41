"""Views of an image for anagrams: functions of (..., H, W), each with its inverse.

A view must keep Gaussian noise Gaussian and independent from pixel to pixel, or the network no longer sees noise that
it knows: moving pixels about and changing their sign do, blurring does not (Geng et al. 2024, section 3.3).
"""

from typing import NamedTuple, Protocol

from torch import Tensor


class View(Protocol):
    def __call__(self, x: Tensor) -> Tensor: ...


class Pair(NamedTuple):
    """A view and what undoes it."""

    view: View
    inverse: View


def flip(x: Tensor) -> Tensor:
    """Upside down: the rows in reverse order. The columns stay, unlike in a half turn."""
    return x.flip(-2)


FLIP = Pair(flip, flip)
