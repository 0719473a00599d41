"""Views of an image for anagrams. A view moves the pixels about, and may then change the sign of their values.

It must keep Gaussian noise Gaussian and independent from pixel to pixel, or the network no longer sees noise that it
knows: these two do, blurring does not (Geng et al. 2024, section 3.3).
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


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
    """

    move: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]
    sign: int = 1

    def __call__(self, x: Tensor) -> Tensor:
        return self.sign * self.move(x)

    def inverse(self, x: Tensor) -> Tensor:
        return self.sign * self.back(x)


FLIP = View(flip, flip)
NEGATIVE = View(still, still, sign=-1)
