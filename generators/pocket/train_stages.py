"""Train pocket's stages 2 and 3, which enlarge by 4.

    python -m generators.pocket.train_stages stage_2 --minutes 30        # resumes from its last checkpoint

Both see crops on the grid of the smaller image, never mirrored: a style's grain has a direction and a phase. The
smaller image is the 4 x 4 average of the crop, a little spoilt, since the images that will be enlarged are samples and
not averages: with blur, with the seams of stage 1's 8 x 8 patches, then with noise of a level that the network is told.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..diffusion.schedule import Schedule
from ..models import minilm, super_resolution
from ..models.base import schedule_of
from ..models.pocket import scheduler
from . import pictures
from .training import DEVICE, WEIGHTS, adamw, fit

BATCH, SIDE, RATE, EMA = 8, 96, 2e-3, 0.998
HIGHEST_LEVEL = 60  # of the noise on the smaller image: sigma = 0.1
CAPTION_DROPOUT = 0.1
PATCH = 8  # side of stage 1's patches


def spoilt(low: Tensor, rng: torch.Generator) -> Tensor:
    """Images (N, 3, H, W) as an imperfect stage before might draw them: each blurred, seamed, or both, or neither."""
    n = len(low)
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]).expand(3, 1, 3, 3) / 16
    blurred = F.conv2d(F.pad(low, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
    blur = (1.6 * torch.rand(n, 1, 1, 1, generator=rng) - 0.8).clamp(min=0)
    offsets = torch.randn(n, 3, low.shape[-2] // PATCH, low.shape[-1] // PATCH, generator=rng)
    strength = (0.12 * torch.rand(n, 1, 1, 1, generator=rng) - 0.06).clamp(min=0)
    return torch.lerp(low, blurred, blur) + strength * F.interpolate(offsets, scale_factor=PATCH)


def crops(rgb: np.ndarray, index: Tensor, rng: torch.Generator) -> Tensor:
    """Random crops of 96 pixels on the 4-pixel grid, (N, 3, 96, 96) in -1 … 1."""
    places = (rgb.shape[1] - SIDE) // super_resolution.SCALE + 1
    corners = super_resolution.SCALE * torch.randint(places, (len(index), 2), generator=rng)
    cut = [rgb[i, y : y + SIDE, x : x + SIDE] for i, (y, x) in zip(index.tolist(), corners.tolist(), strict=True)]
    return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 127.5 - 1


def diffusion_loss(
    network: Callable[..., Any], schedule: Schedule, x0: Tensor, tokens: Tensor | None, rng: torch.Generator
) -> Tensor:
    """The squared error of the residual, in units of its typical size, at timesteps as sampling spaces them."""
    n = len(x0)
    low = spoilt(F.avg_pool2d(x0, super_resolution.SCALE), rng)
    level, t = (
        (top * torch.rand(n, generator=rng) ** 2).round().long() for top in (HIGHEST_LEVEL, super_resolution.FIRST)
    )
    abar_t = schedule.abar[t].view(-1, 1, 1, 1)
    x = abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * torch.randn(x0.shape, generator=rng)
    eps = torch.randn(low.shape, generator=rng)
    x0, x, abar_t, t, low, level, eps = (part.to(DEVICE) for part in (x0, x, abar_t, t, low, level, eps))
    given = super_resolution.condition(schedule, low, level, eps, tokens)
    x0_hat = super_resolution.predicted(network, x, abar_t, t, given)
    return ((x0_hat - x0) / super_resolution.RESIDUAL).square().mean()


def train_stage_2(schedule: Schedule, minutes: float) -> Any:
    stored = pictures.pictures()
    captions = [text.split("\n") for text in stored["captions"].tolist()]
    weights = torch.from_numpy(stored["weights"])
    vocabulary = sorted({"", *(caption for some in captions for caption in some)})
    row = {caption: k for k, caption in enumerate(vocabulary)}
    tokens = minilm.encode(vocabulary)[0]

    def loss_of(network: Callable[..., Any], rng: torch.Generator) -> Tensor:
        index = torch.multinomial(weights, BATCH, replacement=True, generator=rng)
        chosen = [captions[i][int(torch.randint(len(captions[i]), (), generator=rng))] for i in index.tolist()]
        dropped = torch.rand(BATCH, generator=rng) < CAPTION_DROPOUT
        rows = [row["" if drop else caption] for caption, drop in zip(chosen, dropped.tolist(), strict=True)]
        x0 = crops(stored["rgb"], index, rng)
        return diffusion_loss(network, schedule, x0, tokens[rows].to(DEVICE), rng)

    network = super_resolution.stage_2().to(DEVICE)
    fit("stage_2", network, loss_of, [adamw(network.parameters(), RATE)], minutes, EMA)
    return network


def train_stage_3(schedule: Schedule, minutes: float) -> Any:
    rgb = pictures.details()["rgb"]

    def loss_of(network: Callable[..., Any], rng: torch.Generator) -> Tensor:
        x0 = crops(rgb, torch.randint(len(rgb), (BATCH,), generator=rng), rng)
        return diffusion_loss(network, schedule, x0, None, rng)

    network = super_resolution.stage_3().to(DEVICE)
    fit("stage_3", network, loss_of, [adamw(network.parameters(), RATE)], minutes, EMA)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description="Train pocket's stage 2 or 3; resumes.")
    stages = {"stage_2": train_stage_2, "stage_3": train_stage_3}
    parser.add_argument("stage", choices=stages)
    parser.add_argument("--minutes", type=float, default=30, help="training time in all, earlier runs counted in")
    options = parser.parse_args()
    torch.manual_seed(42)
    network = stages[options.stage](schedule_of(scheduler()), options.minutes)
    network.half().save_pretrained(WEIGHTS / options.stage)


if __name__ == "__main__":
    main()
