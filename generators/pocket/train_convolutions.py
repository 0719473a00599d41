"""Train pocket's convolutions: the refiner, which mends what the transformer makes of x_t, and the upscaler.

    python -m generators.pocket.train_convolutions --minutes 4        # minutes for each of the two

The transformer stays as it is. Both see crops, zooms and mirror images of the training pictures, so that they learn
edges and surfaces rather than the pictures; the upscaler also sees noise and patch seams in its input, as the samples
that it will enlarge have them.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..models import minilm
from ..models.pocket import Convolutions, refined, refiner, saved, upscaler
from .train import CHECKPOINT, LEAST_SIGMA, WEIGHTS, load_data

BATCH, RATE = 16, 1e-3


def crops(pictures: np.ndarray, side: int, rng: torch.Generator) -> Tensor:
    """A batch of random crops of `side` pixels or more, mirrored half of the time, as (N, 3, side, side) in -1 … 1."""
    chosen = []
    for index in torch.randint(len(pictures), (BATCH,), generator=rng).tolist():
        size = int(torch.randint(side, 257, (), generator=rng)) if side < 256 else 256
        top, left = (int(v) for v in torch.randint(0, 257 - size, (2,), generator=rng))
        crop = torch.from_numpy(pictures[index, top : top + size, left : left + size].copy()).permute(2, 0, 1)
        crop = crop.flip(-1) if torch.rand((), generator=rng) < 0.5 else crop
        chosen.append(F.interpolate(crop[None].float() / 127.5 - 1, (side, side), mode="area")[0])
    return torch.stack(chosen)


def refiner_loss(
    network: Convolutions,
    transformer: torch.nn.Module,
    pictures: np.ndarray,
    abar: Tensor,
    rng: torch.Generator,
) -> Tensor:
    """The v-weighted error of the refined x_0, at random t, without a caption."""
    x0 = crops(pictures, 64, rng)
    t = torch.randint(0, 1000, (BATCH,), generator=rng)
    abar_t = abar[t].view(-1, 1, 1, 1)
    x = abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * torch.randn(x0.shape, generator=rng)
    tokens, mask = (part.expand(BATCH, *part.shape[1:]) for part in minilm.encode([""]))
    with torch.no_grad():
        rough = transformer(
            x, encoder_hidden_states=tokens, timestep=t, encoder_attention_mask=mask, return_dict=False
        )[0]
    error = refined(network, x, rough, abar_t) - x0
    return (error.square() / (1 - abar_t).clamp(min=LEAST_SIGMA**2)).mean()


def upscaler_loss(network: Convolutions, pictures: np.ndarray, rng: torch.Generator) -> Tensor:
    """The absolute error of a picture enlarged from its 4 x 4 averages, which noise and seams have spoilt a little."""
    sharp = crops(pictures, 128, rng)
    small = F.avg_pool2d(sharp, 4)
    strength = 0.1 * torch.rand(BATCH, 1, 1, 1, generator=rng)
    seams = F.interpolate(torch.randn(BATCH, 3, 4, 4, generator=rng), scale_factor=8) * strength * 0.5
    noise = torch.randn(small.shape, generator=rng) * strength
    return (network(small + seams + noise) - sharp).abs().mean()


def fit(name: str, network: Convolutions, loss_of: Callable[[Convolutions], Tensor], minutes: float) -> None:
    """Train for so many minutes, the rate falling to nothing, and save the network."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.0)
    began, update, losses = time.monotonic(), 0, []
    while (progress := (time.monotonic() - began) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (update + 1) / 50, 2 * (1 - progress))
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(network)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        update += 1
        if update % 50 == 0:
            print(f"{name}: update {update}, {progress:.0%}, loss {np.mean(losses[-50:]):.4f}", flush=True)
    network.half().save_pretrained(WEIGHTS / name)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train pocket's refiner and upscaler.")
    parser.add_argument("--minutes", type=float, default=4, help="for each of the two")
    minutes = parser.parse_args().minutes
    torch.manual_seed(42)
    load_data()
    with np.load(CHECKPOINT.parent / "pictures.npz") as stored:
        pictures = stored["rgb"]
    rng = torch.Generator().manual_seed(42)
    transformer, schedule = saved(WEIGHTS)
    abar = schedule.alphas_cumprod
    fit(
        "refiner",
        refiner(),
        partial(refiner_loss, transformer=transformer, pictures=pictures, abar=abar, rng=rng),
        minutes,
    )
    fit("upscaler", upscaler(), partial(upscaler_loss, pictures=pictures, rng=rng), minutes)


if __name__ == "__main__":
    main()
