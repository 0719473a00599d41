"""Train pocket's refiner, which mends what stage 1's transformer makes of x_t. The transformer stays as it is.

    python -m generators.pocket.train_refiner --minutes 4        # resumes from its last checkpoint

It sees crops, zooms and mirror images of the training pictures, so that it learns edges and surfaces rather than the
pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..models import minilm
from ..models.pocket import Refiner, clean, refined, saved
from .pictures import pictures
from .train_stage_1 import v_weighted
from .training import DEVICE, WEIGHTS, adamw, fit

BATCH, RATE, EMA = 16, 1e-3, 0.99


def crops(rgb: np.ndarray, rng: torch.Generator) -> Tensor:
    """A batch of random crops of 64 to 256 pixels, shrunk to 64, half of them mirrored: (N, 3, 64, 64) in -1 … 1."""
    chosen = []
    for index in torch.randint(len(rgb), (BATCH,), generator=rng).tolist():
        size = int(torch.randint(64, 257, (), generator=rng))
        top, left = torch.randint(0, 257 - size, (2,), generator=rng).tolist()
        crop = torch.from_numpy(rgb[index, top : top + size, left : left + size]).permute(2, 0, 1)
        crop = crop.flip(-1) if torch.rand((), generator=rng) < 0.5 else crop
        chosen.append(F.interpolate(crop[None].float() / 127.5 - 1, (64, 64), mode="area")[0])
    return torch.stack(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train pocket's refiner; resumes.")
    parser.add_argument("--minutes", type=float, default=4, help="training time in all, earlier runs counted in")
    minutes = parser.parse_args().minutes
    rgb = pictures()["rgb"]
    transformer, schedule = saved(WEIGHTS)
    transformer.to(DEVICE)
    tokens = minilm.encode([""])[0].expand(BATCH, -1, -1).to(DEVICE)

    def loss_of(network: Callable[..., Any], rng: torch.Generator) -> Tensor:
        """The v-weighted error of the refined x_0, at random t, without a caption."""
        x0 = crops(rgb, rng)
        t = torch.randint(0, 1000, (BATCH,), generator=rng)
        abar_t = schedule.alphas_cumprod[t].view(-1, 1, 1, 1)
        x = abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * torch.randn(x0.shape, generator=rng)
        x0, t, abar_t, x = (part.to(DEVICE) for part in (x0, t, abar_t, x))
        with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16):
            rough = clean(transformer, x, t, tokens)
        return v_weighted(refined(network, x, rough.float(), abar_t) - x0, abar_t)

    torch.manual_seed(42)
    network = Refiner().to(DEVICE)
    fit("refiner", network, loss_of, [adamw(network.parameters(), RATE)], minutes, EMA)
    network.half().save_pretrained(WEIGHTS / "refiner")


if __name__ == "__main__":
    main()
