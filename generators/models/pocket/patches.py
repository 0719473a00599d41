"""pocket's stage 1: a transformer over overlapping patches that predicts the clean image.

An image is cut into windows of 12 x 12 pixels with stride 8. The transformer predicts a clean window for each, and the
windows are cross-faded where they overlap. What is left of the seams is spread: the windows lie on two grids in turn,
half a patch apart, so that what borders leave at one timestep lies inside a window at another. The image that is kept,
at t < TURN, is estimated on both.

At high noise (t >= COARSE), where details are invisible, the network sees x_t at half resolution: the 2 x 2 averages,
whose noise has a quarter of the variance, rescaled to unit variance. Then 16 windows cover the image instead of 64, at
less than half the cost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import minilm

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers import FluxTransformer2DModel as Denoiser

SIZE = 64  # pixels a side
PATCH, OVERLAP = 8, 2  # stride of the windows; pixels by which a window exceeds its patch on each side
WINDOW = PATCH + 2 * OVERLAP
GRID = SIZE // PATCH
SHIFT = PATCH // 2  # pixels from the first grid of windows to the second, right and down
COARSE = 850  # the first t at which the network sees half resolution
TURN = 30  # timesteps for which a grid is used before the other takes its turn; the report's stride


def denoiser(layers: int = 8, heads: int = 5) -> Denoiser:
    """Returns stage 1, untrained, as training needs it: single-stream blocks over 64 or 16 windows and 16 word pieces;
    5 heads x 64 channels, 13 M.

    The sentence vector and t modulate every block (adaptive normalisation); word pieces are attended to.
    """
    from diffusers import FluxTransformer2DModel as Denoiser

    return Denoiser(
        in_channels=3 * WINDOW**2 + GRID**2,
        out_channels=3 * WINDOW**2,
        num_layers=0,
        num_single_layers=layers,
        num_attention_heads=heads,
        attention_head_dim=64,
        joint_attention_dim=minilm.WIDTH,
        pooled_projection_dim=minilm.WIDTH,
        axes_dims_rope=(16, 24, 24),
    )


def load(folder: Path) -> Denoiser:
    """Loads the network that diffusers saved in that folder, in float32, to train it further."""
    from diffusers import FluxTransformer2DModel as Denoiser

    return Denoiser.from_pretrained(folder, torch_dtype=torch.float32)


def windows(x: Tensor) -> Tensor:
    """Cuts images (N, 3, S, S) into windows (N, (S / 8)^2, 3 x 12 x 12), with zeros beyond the image's edge."""
    # Not F.unfold, nor F.fold below: on a GPU they, or their gradients, take one kernel per image.
    cut = F.pad(x, (OVERLAP,) * 4).unfold(2, WINDOW, PATCH).unfold(3, WINDOW, PATCH)
    return cut.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


def blended(cut: Tensor, size: int) -> Tensor:
    """Inverse of `windows`: images (N, 3, S, S) from windows (N, (S / 8)^2, 3 x 12 x 12), cross-faded where they
    overlap."""
    weight, side = _fade().to(cut), size // PATCH

    def added(values: Tensor) -> Tensor:
        rows = _overlapped(
            values.unflatten(2, (3, WINDOW, WINDOW)).unflatten(1, (side, side)).permute(0, 3, 4, 1, 2, 5)
        )
        return _overlapped(rows.permute(0, 1, 4, 3, 2)).mT[..., OVERLAP:-OVERLAP, OVERLAP:-OVERLAP]

    return added(cut * weight) / added(weight.expand(1, cut.shape[1], -1))


def _overlapped(pieces: Tensor) -> Tensor:
    """Adds pieces (…, G, 12) in places 8 pixels apart, (…, 8 G + 4)."""
    shared = WINDOW - PATCH
    head, tail = pieces.split((PATCH, shared), dim=-1)
    carried = F.pad(tail, (0, PATCH - shared)).flatten(-2)
    return F.pad(head.flatten(-2), (0, shared)) + F.pad(carried, (PATCH, shared - PATCH))


@cache
@torch.inference_mode(False)  # what is cached while sampling must also do for training
def _fade() -> Tensor:
    """Returns the weight of a window's pixels, (3 x 12 x 12,): a linear ramp over the 4 shared pixels."""
    rise = (torch.arange(2 * OVERLAP) + 0.5) / (2 * OVERLAP)
    ramp = torch.cat([rise, torch.ones(PATCH - 2 * OVERLAP), rise.flip(0)])
    return (ramp[:, None] * ramp).expand(3, -1, -1).flatten()


@cache
@torch.inference_mode(False)
def _places(side: int) -> tuple[Tensor, Tensor]:
    """Returns the positions of side x side windows: vectors over the 8 x 8 places that each covers, (side^2, 64); and
    centres for the rotary embedding, (side^2, 3), as (0, row, column).

    side: 8, or 4 for twice as large windows, or 9 for the second grid. A vector is one-hot; or a unit vector over four
    places; or, on the second grid, the mean of one to four, with which weights that knew only the first erred least.
    """
    one_hot = torch.eye(GRID**2).view(GRID**2, 1, GRID, GRID)
    if side > GRID:
        places = F.avg_pool2d(one_hot, 2, stride=1, padding=1, count_include_pad=False)
        middles = torch.arange(side) + 0.5
    else:
        covered = GRID // side
        places = covered * F.avg_pool2d(one_hot, covered)
        middles = covered * torch.arange(side) + (covered + 1) / 2
    places = places.view(GRID**2, side**2).T
    rows, columns = torch.meshgrid(middles, middles, indexing="ij")
    return places, torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).view(-1, 3)


@cache
@torch.inference_mode(False)
def _nearness() -> Tensor:
    """Returns the weight of the first grid's estimate where both are averaged, (64, 64): near 1 in the middle of its
    patches, near 0 at their corners, which are the middles of the second grid's."""
    middle = (PATCH / 2 - (torch.arange(PATCH) + 0.5 - PATCH / 2).abs()).repeat(GRID) / (PATCH / 2)
    first, second = (ramp[:, None] * ramp for ramp in (middle, 1 - middle))
    return first / (first + second)


def answer(transformer: Callable[..., Any], x: Tensor, t: Tensor, tokens: Tensor, shift: int = 0) -> Tensor:
    """Predicts the clean image for x, (N, 3, S, S), at t, (N,), from minilm's tokens, (N, 17, 384); S is 64 or 32.

    shift: 0 for the first grid of windows; SHIFT for the second, which exceeds the image by that on each side. Each
    window carries its absolute position, because the transformer's rotary positions are relative.
    """
    if shift:
        x0 = answer(transformer, F.pad(x, (shift,) * 4, mode="reflect"), t, tokens)
        return x0[..., shift:-shift, shift:-shift]
    places, ids = (each.to(x) for each in _places(x.shape[-1] // PATCH))
    cut = transformer(
        torch.cat([windows(x), places.expand(len(x), -1, -1)], dim=2),
        pooled_projections=tokens[:, 0],
        encoder_hidden_states=tokens[:, 1:],
        timestep=t / 1000,
        img_ids=ids,
        txt_ids=torch.zeros(tokens.shape[1] - 1, 3, device=x.device),
        return_dict=False,
    )[0]
    return blended(cut.float(), x.shape[-1])


def halved(x: Tensor, abar_t: Tensor) -> Tensor:
    """Returns x_t at half resolution, (N, 3, 32, 32), rescaled to the variance of x_t; abar_t (N, 1, 1, 1)."""
    return F.avg_pool2d(x, 2) / (abar_t + (1 - abar_t) / 4).sqrt()


def clean(transformer: Callable[..., Any], x: Tensor, t: Tensor, tokens: Tensor, abar_t: Tensor) -> Tensor:
    """Predicts x_0 from noisy images x, (N, 3, 64, 64), at any t, (N,); abar_t (N, 1, 1, 1), tokens (N, 17, 384)."""
    x0, coarse = torch.zeros_like(x), t >= COARSE
    if coarse.any():
        small = answer(transformer, halved(x[coarse], abar_t[coarse]), t[coarse], tokens[coarse])
        x0[coarse] = F.interpolate(small, scale_factor=2, mode="bilinear").to(x0)
    both, turn = t < TURN, (t // TURN) % 2
    nearness = _nearness().to(x)
    for shift, in_turn, weight in ((0, turn == 0, nearness), (SHIFT, turn == 1, 1 - nearness)):
        chosen = ~coarse & (both | in_turn)
        if chosen.any():
            fine = answer(transformer, x[chosen], t[chosen], tokens[chosen], shift).to(x0)
            x0[chosen] += torch.where(both[chosen].view(-1, 1, 1, 1), weight, 1) * fine
    return x0
