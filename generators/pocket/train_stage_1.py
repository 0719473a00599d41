"""Train pocket's stage 1: a patch transformer that predicts the clean 64 x 64 image from a noisy one and a caption.

    python -m generators.pocket.train_stage_1 --minutes 120        # resumes from its last checkpoint

The network outputs x_0 (prediction type "sample") under a v-weighted loss: |v - v^|^2 = |x_0 - x_0^|^2 / sigma^2 with
sigma^2 = 1 - abar_t, after Li and He 2025, "Back to Basics: Let Denoising Generative Models Denoise", and Salimans and
Ho 2022, "Progressive Distillation". High noise levels, where only the caption tells what to draw, come more often. The
hidden matrices are updated by Muon (Jordan et al. 2024), which learns what is rare, here the shape of one name among
many, in fewer updates than AdamW; AdamW takes the rest.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import Tensor, nn

from ..models import minilm
from ..models.pocket import clean, denoiser, scheduler
from . import pictures
from .training import DEVICE, SEED, WEIGHTS, adamw, fit

BATCH, RATE, MUON_RATE, EMA = 32, 1e-3, 1.5e-3, 0.999
CAPTION_DROPOUT = 0.1  # how often the caption is "", which is what guidance calls unconditional
LEAST_SIGMA = 0.2  # caps the loss weight at 25: at less noise the picture is all but given


def v_weighted(error: Tensor, abar_t: Tensor) -> Tensor:
    """The mean of the squared error of x_0^, (N, 3, H, W), over sigma^2; abar_t (N, 1, 1, 1)."""
    return (error.square() / (1 - abar_t).clamp(min=LEAST_SIGMA**2)).mean()


def timesteps(count: int, rng: torch.Generator) -> Tensor:
    """t in 0 … 999, at a density that rises from half of the even one at t = 0 to one and a half times it."""
    u = torch.rand(count, generator=rng)
    return (1000 * ((0.25 + 2 * u).sqrt() - 0.5)).long().clamp(max=999)


def optimizers(network: nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between hidden states, at steps of AdamW's size; AdamW for all else."""
    outer = ("x_embedder", "norm_out", "proj_out")
    named = list(network.named_parameters())
    hidden = [p for name, p in named if p.ndim == 2 and not name.startswith(outer)]
    rest = [p for name, p in named if p.ndim != 2 or name.startswith(outer)]
    muon = torch.optim.Muon(hidden, lr=MUON_RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    return [muon, adamw(rest, RATE)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train pocket's 64-pixel stage; resumes.")
    parser.add_argument("--minutes", type=float, default=120, help="training time in all, earlier runs counted in")
    minutes = parser.parse_args().minutes

    rgb, captions, weights = pictures.small()
    vocabulary = sorted({"", *(caption for some in captions for caption in some)})
    row = {caption: k for k, caption in enumerate(vocabulary)}
    tokens = minilm.encode(vocabulary)[0].to(DEVICE)
    abar = scheduler().alphas_cumprod.to(DEVICE)

    def loss_of(network: Any, rng: torch.Generator) -> Tensor:
        index = torch.multinomial(weights, BATCH, replacement=True, generator=rng)
        chosen = [captions[i][int(torch.randint(len(captions[i]), (), generator=rng))] for i in index.tolist()]
        dropped = torch.rand(BATCH, generator=rng) < CAPTION_DROPOUT
        rows = [row["" if drop else caption] for caption, drop in zip(chosen, dropped.tolist(), strict=True)]
        x0 = (rgb[index].float() / 127.5 - 1).to(DEVICE)
        t = timesteps(BATCH, rng).to(DEVICE)
        eps = torch.randn(x0.shape, generator=rng).to(DEVICE)
        abar_t = abar[t].view(-1, 1, 1, 1)
        x = abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * eps
        return v_weighted(clean(network, x, t, tokens[rows]).float() - x0, abar_t)

    torch.manual_seed(SEED)
    network = denoiser().to(DEVICE)
    # Flux casts t to the type that this layer gives: in bfloat16 neighbouring timesteps would be one.
    network.x_embedder.forward = torch.autocast(DEVICE, enabled=False)(network.x_embedder.forward)
    fit("stage_1", network, loss_of, optimizers(network), minutes, EMA)
    network.half().save_pretrained(WEIGHTS / "transformer", max_shard_size="16MB")
    scheduler().save_pretrained(WEIGHTS / "scheduler")


if __name__ == "__main__":
    main()
