"""Trains pocket's stages 2 and 3, which enlarge by 4.

    python -m generators.making.training.later_stages stage_2 --updates 20000        # resumes from its last checkpoint

Both see crops on the grid of the smaller image, never mirrored, because a style's grain has a direction and a phase. In
use they enlarge samples, not averages of pixels, and should repair the previous stage's errors. Stage 2 therefore sees,
for most pictures, stage 1's reconstruction of their 4 x 4 average at low noise, with the blur, seams and errors of its
samples; stage 3 sees the average slightly blurred. Then noise of a known level is added.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...diffusion.schedule import Schedule
from ...models.base import schedule_of
from ...models.pocket import super_resolution
from ...models.pocket.cascade import scheduler
from ...models.pocket.patches import clean, denoiser
from .loop import DEVICE, TRAINED, adamw, encode_captions, fit, load_checkpoint, load_shipped
from .pool import WORKERS, Picture, Pool, crops_1024, picture_256
from .stage_1 import add_noise, drop_captions

BATCH, SIDE, RATE, EMA = 8, 96, 2e-3, 0.998
HIGHEST_LEVEL = 60  # level of the noise on the smaller image: sigma = 0.1
OTHERS = 8  # processes that draw in advance where batches are larger
RECONSTRUCTED, HIGHEST_T = 0.75, 300  # the share of pictures that stage 1 reconstructs, and the highest t for it


def blurred(low: Tensor, rng: torch.Generator) -> Tensor:
    """Blurs half of the images (N, 3, H, W) slightly."""
    kernel = low.new_tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]).expand(3, 1, 3, 3) / 16
    soft = F.conv2d(F.pad(low, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
    share = (1.6 * torch.rand(len(low), 1, 1, 1, generator=rng) - 0.8).clamp(min=0)
    return torch.lerp(low, soft, share.to(low.device))


def crops(x0: Tensor, low: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Returns crops of 96 pixels of each image (N, 3, H, W), and the same crops of the four times smaller images."""
    scale = super_resolution.SCALE
    places = (x0.shape[-1] - SIDE) // scale + 1
    corners = torch.randint(places, (len(x0), 2), generator=rng).tolist()
    large = [
        x[:, scale * a : scale * a + SIDE, scale * b : scale * b + SIDE] for x, (a, b) in zip(x0, corners, strict=True)
    ]
    small = [x[:, a : a + SIDE // scale, b : b + SIDE // scale] for x, (a, b) in zip(low, corners, strict=True)]
    return torch.stack(large), torch.stack(small)


def diffusion_loss(
    network: Callable[..., Any],
    schedule: Schedule,
    x0: Tensor,
    low: Tensor,
    tokens: Tensor | None,
    rng: torch.Generator,
) -> Tensor:
    """Returns the squared error of the residual, in units of its typical size, at timesteps distributed as in
    sampling."""
    n = len(x0)
    level, t = (
        (top * torch.rand(n, generator=rng) ** 2).round().long() for top in (HIGHEST_LEVEL, super_resolution.FIRST)
    )
    x, abar_t = add_noise(x0, t, schedule.abar)
    given = super_resolution.condition(schedule, low, level.to(DEVICE), torch.randn_like(low), tokens)
    x0_hat = super_resolution.predicted(network, x, abar_t, t.to(DEVICE), given)
    return ((x0_hat - x0) / super_resolution.RESIDUAL).square().mean()


def reconstructed(
    stage_1: torch.nn.Module, schedule: Schedule, low: Tensor, tokens: Tensor, rng: torch.Generator
) -> Tensor:
    """Returns images (N, 3, 64, 64), most of them reconstructed by stage 1 from a little noise."""
    t = torch.randint(HIGHEST_T, (len(low),), generator=rng)
    x, abar_t = add_noise(low, t, schedule.abar)
    with torch.no_grad():
        drawn = clean(stage_1, x, t.to(DEVICE), tokens, abar_t).clamp(-1, 1)
    chosen = torch.rand(len(low), 1, 1, 1, generator=rng) < RECONSTRUCTED
    return torch.where(chosen.to(DEVICE), drawn, low)


def stage_1() -> torch.nn.Module:
    """Loads stage 1's latest checkpoint, or the stage 1 that ships."""
    network = denoiser().to(DEVICE).eval()
    if state := load_checkpoint("stage_1"):
        network.load_state_dict(state["average"])
    else:
        load_shipped(network, "transformer")
    return network


Encode = Callable[[list[str]], Tensor]


def train_stage_2(
    schedule: Schedule, updates: int, encode: Encode = encode_captions, scale: int = 1, minutes: float = math.inf
) -> torch.nn.Module:
    """Trains stage 2, with batches `scale` times as large as on a CPU; encode: as in `stage_1.objective`."""
    before, pool = stage_1(), _pool("stage_2", picture_256, 1024, scale)

    def loss_of(network: Callable[..., Any], rng: torch.Generator) -> Tensor:
        x0, captions = pool.batch(scale * BATCH, rng)
        tokens = encode(drop_captions(captions, rng))
        low = reconstructed(before, schedule, F.avg_pool2d(x0, super_resolution.SCALE), tokens, rng)
        return diffusion_loss(network, schedule, *crops(x0, low, rng), tokens, rng)

    network = super_resolution.stage_2().to(DEVICE)
    load_shipped(network, "stage_2")
    fit("stage_2", network, loss_of, [adamw(network.parameters(), RATE)], updates, EMA, minutes=minutes)
    return network


def train_stage_3(schedule: Schedule, updates: int, scale: int = 1, minutes: float = math.inf) -> torch.nn.Module:
    """Trains stage 3, with batches `scale` times as large as on a CPU."""
    pool = _pool("stage_3", crops_1024, 2048, scale)

    def loss_of(network: Callable[..., Any], rng: torch.Generator) -> Tensor:
        x0, _ = pool.batch(scale * BATCH, rng)
        low = blurred(F.avg_pool2d(x0, super_resolution.SCALE), rng)
        return diffusion_loss(network, schedule, *crops(x0, low, rng), None, rng)

    network = super_resolution.stage_3().to(DEVICE)
    load_shipped(network, "stage_3")
    fit("stage_3", network, loss_of, [adamw(network.parameters(), RATE)], updates, EMA, minutes=minutes)
    return network


def _pool(name: str, draw: Callable[[int], list[Picture]], size: int, scale: int) -> Pool:
    """Returns a pool of drawings that no earlier run of this training has used."""
    state = load_checkpoint(name)
    return Pool(draw, size, 16 * scale, BATCH * state["update"] if state else 0, WORKERS if scale == 1 else OTHERS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train pocket's stage 2 or 3; resumes.")
    parser.add_argument("stage", choices=("stage_2", "stage_3"))
    parser.add_argument("--updates", type=int, default=20_000, help="updates in all, earlier runs counted in")
    options = parser.parse_args()
    torch.manual_seed(42)
    schedule, updates = schedule_of(scheduler()), options.updates
    second = options.stage == "stage_2"
    network = train_stage_2(schedule, updates) if second else train_stage_3(schedule, updates)
    network.half().save_pretrained(TRAINED / options.stage)  # type: ignore[operator]


if __name__ == "__main__":
    main()
