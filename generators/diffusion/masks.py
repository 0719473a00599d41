"""Masks of inpainting, (1, 64, 64): 1 where new content goes, 0 where the image is kept."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from ..records.errors import DeclarationError

SIDE = 64  # pixels of stage 1's images


@dataclass(frozen=True)
class Hole:
    """A rectangle for new content, by its first and last row and column, 0 to 63.

    Raises DeclarationError if it is empty or leaves the image: a slice would clip it, or mask nothing.
    """

    top: int
    bottom: int
    left: int
    right: int

    def __post_init__(self) -> None:
        for what, first, last in (("rows", self.top, self.bottom), ("columns", self.left, self.right)):
            if not 0 <= first <= last < SIDE:
                raise DeclarationError(
                    f"Hole{astuple(self)}: {what} {first} to {last} do not lie in 0 to {SIDE - 1}, in this order; "
                    "give the first row, the last row, the first column, the last column"
                )

    def mask(self) -> Tensor:
        """Returns 1 in the hole and 0 elsewhere."""
        mask = torch.zeros(1, SIDE, SIDE)
        mask[:, self.top : self.bottom + 1, self.left : self.right + 1] = 1
        return mask
