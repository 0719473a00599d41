"""Masks of inpainting, (1, 64, 64): 1 where new content goes, 0 where the image is kept."""

from __future__ import annotations

import torch
from torch import Tensor

from ..records.errors import InputError

SIDE = 64  # pixels of stage 1's images


def rectangle(rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Returns the mask of a rectangle, by its first and last row and column, 0 to 63."""
    mask = torch.zeros(1, SIDE, SIDE)
    mask[:, rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = 1
    return mask


def painted(image: Tensor, name: str) -> Tensor:
    """Returns the mask that an image (3, 64, 64) in -1 … 1 shows: 1 where it is white, or grey nearer to white than to
    black.

    Raises InputError, with the name, if that is nowhere or everywhere.
    """
    mask = (image.mean(0, keepdim=True) > 0).to(image.dtype)
    if not 0 < mask.sum() < mask.numel():
        found = "white nowhere, so nothing" if not mask.any() else "white everywhere, so the whole image"
        raise InputError(
            f"{name}: within its central square, the mask is {found} would be replaced; paint white what is to be "
            "replaced, and all else black"
        )
    return mask
