"""Trains pocket's stage 1: a transformer that predicts the clean 64 x 64 image from a noisy one and a caption.

    python -m generators.making.training.stage_1 --updates 60000        # resumes from its last checkpoint

The network outputs x_0 (prediction type "sample") under a v-weighted loss: |v - v^|^2 = |x_0 - x_0^|^2 / sigma^2 with
sigma^2 = 1 - abar_t, after Li and He 2025, "Back to Basics: Let Denoising Generative Models Denoise", and Salimans and
Ho 2022, "Progressive Distillation". A batch is either of the high noise levels, at which the network sees pictures at
half resolution and only the caption determines the content, or of the lower ones. Muon (Jordan et al. 2024) updates the
hidden matrices, because it learns rare features, here the shape of one name among many, in fewer updates than AdamW.
AdamW updates the rest.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...diffusion.filters import low_pass
from ...models.pocket.cascade import scheduler
from ...models.pocket.patches import COARSE, SHIFT, answer, clean, denoiser, halved
from .loop import DEVICE, SEED, TRAINED, adamw, encode_captions, fit, load_checkpoint, load_shipped
from .pool import Pool, picture_64, validation_set

if TYPE_CHECKING:
    from ...models.pocket.patches import Denoiser

UPDATES = 60_000
RATE, MUON_RATE, EMA = 1e-3, 1.5e-3, 0.999
FINE_BATCH, COARSE_BATCH = 32, 64  # pictures per update, at the lower and the higher noise levels
COARSE_SHARE = 0.4  # share of updates at the higher noise levels
SWAPPED, SWAP_FROM = 0.25, 300  # share of the pictures that get another's large scale, from this t to COARSE
SWAP_SIGMAS = (1.5, 3.0)  # of the Gaussian that separates the scales, in pixels, from and to
CAPTION_DROPOUT = 0.1  # share of captions replaced by "", the unconditional prompt of guidance
LEAST_SIGMA = 0.2  # caps the loss weight at 25: with less noise the task is almost trivial
VALIDATION_SIZE = 256  # held-out pictures
LEVELS = (999, 950, 900, 800, 700, 600, 500, 400, 200)  # the t at which they are evaluated


def v_weighted(error: Tensor, abar_t: Tensor) -> Tensor:
    """Returns the mean of (error^2 + |its steps from pixel to pixel|^2) / sigma^2.

    error: x_0^ - x_0, (N, 3, H, W). sigma^2 = 1 - abar_t, at least LEAST_SIGMA^2; abar_t (N, 1, 1, 1). The steps leave
    the best answer, E[x_0 | x_t], as it is, but a border between two windows costs more.
    """
    squares = (error, error.diff(dim=2), error.diff(dim=3))
    sigma2 = (1 - abar_t).clamp(min=LEAST_SIGMA**2)
    return sum((part.square() / sigma2).mean() for part in squares)  # type: ignore[return-value]


def fine_timesteps(count: int, rng: torch.Generator) -> Tensor:
    """Draws t below COARSE, (count,), with a density that triples linearly from t = 0 to COARSE."""
    u = torch.rand(count, generator=rng)
    return (COARSE * ((1 + 8 * u).sqrt() - 1) / 2).long().clamp(max=COARSE - 1)


def swap_low_frequencies(x0: Tensor, t: Tensor, rng: torch.Generator) -> Tensor:
    """Gives a random SWAPPED of the pictures with t >= SWAP_FROM, (N, 3, H, W) in -1 … 1, the large scale of the one
    before, the first one that of the last. t: (N,).

    The caption stays that of the details. In drawings the scales always agree, so a network that has seen nothing else
    does not draw the details that a caption asks for over a large scale of something else, as a hybrid image needs.
    At lower t the details are there already.
    """
    low, high = SWAP_SIGMAS
    sigma = low + (high - low) * torch.rand((), generator=rng).item()
    large = low_pass(x0.flatten(0, 1), sigma=sigma).view_as(x0)
    chosen = (torch.rand(len(x0), generator=rng) < SWAPPED) & (t >= SWAP_FROM)
    return torch.where(chosen.to(x0.device).view(-1, 1, 1, 1), large.roll(1, 0) + x0 - large, x0).clamp(-1, 1)


def drop_captions(captions: list[str], rng: torch.Generator) -> list[str]:
    """Returns the captions with a random CAPTION_DROPOUT of them replaced by ""."""
    drop = torch.rand(len(captions), generator=rng) < CAPTION_DROPOUT
    return ["" if dropping else caption for caption, dropping in zip(captions, drop.tolist(), strict=True)]


def optimizers(network: nn.Module) -> list[torch.optim.Optimizer]:
    """Returns Muon for the hidden matrices, with updates scaled to AdamW's RMS, and AdamW for all other parameters.

    Muon comes in two halves, because `fit` runs optimizers at the same time and one small matrix cannot occupy two
    threads.
    """
    outer = ("x_embedder", "norm_out", "proj_out")
    named = list(network.named_parameters())
    hidden = [p for name, p in named if p.ndim == 2 and not name.startswith(outer)]
    rest = [p for name, p in named if p.ndim != 2 or name.startswith(outer)]
    halves = [
        torch.optim.Muon(half, lr=MUON_RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        for half in (hidden[::2], hidden[1::2])
    ]
    return [*halves, adamw(rest, RATE)]


def add_noise(x0: Tensor, t: Tensor, abar: Tensor, eps: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns x_t of clean images x0, (N, 3, H, W), at t, (N,), and abar_t, (N, 1, 1, 1); eps is random by default."""
    abar_t = abar.to(x0.device)[t.to(x0.device)].view(-1, 1, 1, 1)
    return abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * (torch.randn_like(x0) if eps is None else eps), abar_t


def validation_errors(network: nn.Module, x0: Tensor, tokens: Tensor, abar: Tensor) -> dict[str, float]:
    """Returns the mean squared error of x_0^ at 32 x 32 pixels, at each of LEVELS, with the same noise every time."""
    found = {}
    for level in LEVELS:
        eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(level))
        x, abar_t = add_noise(x0, torch.full((len(x0),), level), abar, eps)
        with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16):
            parts = zip(*(part.to(DEVICE).split(64) for part in (x, abar_t, tokens, x0)), strict=True)
            errs = [  # 64 pictures at a time
                F.avg_pool2d(clean(network, x, torch.full((len(x),), level, device=DEVICE), texts, abar_t) - x0, 2)
                for x, abar_t, texts, x0 in parts
            ]
        found[str(level)] = round(torch.cat(errs).square().mean().item(), 5)
    return found


def objective(
    pool: Pool, encode: Callable[[list[str]], Tensor], abar: Tensor, scale: int = 1
) -> Callable[[Callable[..., Any], torch.Generator], Tensor]:
    """Returns the loss function of a network on a random batch of the pool, `scale` times as large as on a CPU.

    encode: maps captions to minilm's tokens, (N, 17, 384), on DEVICE.
    """

    def loss_of(network: Callable[..., Any], rng: torch.Generator) -> Tensor:
        coarse = torch.rand((), generator=rng).item() < COARSE_SHARE
        n = scale * (COARSE_BATCH if coarse else FINE_BATCH)
        x0, captions = pool.batch(n, rng)
        t = torch.randint(COARSE, 1000, (n,), generator=rng) if coarse else fine_timesteps(n, rng)
        if not coarse:
            x0 = swap_low_frequencies(x0, t, rng)
        x, abar_t = add_noise(x0, t, abar)
        shift = 0 if coarse or torch.rand((), generator=rng).item() < 0.5 else SHIFT  # both grids in turn
        if coarse:
            x, x0 = halved(x, abar_t), F.avg_pool2d(x0, 2)
        return v_weighted(answer(network, x, t.to(DEVICE), encode(drop_captions(captions, rng)), shift) - x0, abar_t)

    return loss_of


def untrained() -> Denoiser:
    """Returns stage 1's untrained network on DEVICE, with the same initial weights at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        network = denoiser().to(DEVICE)
    # Flux casts t to the dtype of this layer's output, and in bfloat16 adjacent timesteps would coincide.
    network.x_embedder.forward = torch.autocast(DEVICE, enabled=False)(network.x_embedder.forward)  # type: ignore
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description="Train pocket's 64-pixel stage, resuming from its last checkpoint.")
    parser.add_argument("--updates", type=int, default=UPDATES, help="total updates, including those of earlier runs")
    updates = parser.parse_args().updates

    abar, state = scheduler().alphas_cumprod, load_checkpoint("stage_1")
    pool = Pool(picture_64, size=16_384, uses=10, first=FINE_BATCH * state["update"] if state else 0)
    validation_x0, validation_captions = validation_set(VALIDATION_SIZE)
    validation_tokens = encode_captions(validation_captions)

    def validate(network: nn.Module) -> dict[str, float]:
        return validation_errors(network, validation_x0, validation_tokens, abar)

    network = untrained()
    load_shipped(network, "transformer")
    fit("stage_1", network, objective(pool, encode_captions, abar), optimizers(network), updates, EMA, validate)
    network.half().save_pretrained(TRAINED / "transformer", max_shard_size="16MB")
    scheduler().save_pretrained(TRAINED / "scheduler")


if __name__ == "__main__":
    main()
