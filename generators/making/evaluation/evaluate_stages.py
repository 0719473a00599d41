"""Measures how well pocket's stages 2 and 3 enlarge drawings of a held-out icon style.

    python -m generators.making.evaluation.evaluate_stages

The smaller image is the exact 4 x 4 average. PSNR and SSIM penalise a grain whose phase must be guessed, so the table
also reports detail: the standard deviation of what is added to the bicubic enlargement, over that of what should be
added. Bicubic itself has 0.
"""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from ... import models
from ...models.pocket.super_resolution import SCALE
from ..drawings import data
from ..drawings.icons import HELD_OUT, has
from ..drawings.names import NOUNS
from ..drawings.styles import FILTERS

EACH = {256: 6, 1024: 2}  # drawings of each style for stages 2 and 3; those at 1024 pixels are slow


def held_out(count: int) -> list[data.Drawing]:
    """Returns so many things in each style, different ones for each; every k-th name, for variety."""
    drawn = [noun for noun, key in NOUNS.items() if has(key, HELD_OUT)]
    chosen = drawn[:: len(drawn) // (count * len(FILTERS))]
    rng = np.random.default_rng(0)
    return [
        data.held_out(chosen[k * len(FILTERS) + j], style, rng) for j, style in enumerate(FILTERS) for k in range(count)
    ]


def pixels(drawing: data.Drawing, size: int) -> Tensor:
    return torch.from_numpy(drawing.render(size)).permute(2, 0, 1).float() / 127.5 - 1


def scores(found: Tensor, truth: Tensor, base: Tensor) -> tuple[float, float, float]:
    """Returns PSNR in dB, SSIM, and the share of detail."""
    both = [((x.clamp(-1, 1) + 1) / 2).numpy() for x in (truth, found)]
    return (
        float(peak_signal_noise_ratio(*both, data_range=1)),
        float(structural_similarity(*both, data_range=1, channel_axis=0)),
        float((found - base).std() / (truth - base).std()),
    )


def main() -> None:
    pocket = models.load("pocket")
    print("| Stage | Style | PSNR, dB: bicubic | sampled | SSIM: bicubic | sampled | Detail | Seconds an image |")
    print("|---|---|---|---|---|---|---|---|")
    for size, each in EACH.items():
        for style in FILTERS:
            rows = []
            for drawing in held_out(each):
                if drawing.style != style:
                    continue
                truth = pixels(drawing, size)
                low = F.avg_pool2d(truth, SCALE)
                base = F.interpolate(low[None], scale_factor=SCALE, mode="bicubic")[0]
                began = time.perf_counter()
                found = pocket.enlarge(low, drawing.captions[0], torch.Generator().manual_seed(42))
                seconds = time.perf_counter() - began
                plain, ours = scores(base, truth, base), scores(found, truth, base)
                rows.append((plain[0], ours[0], plain[1], ours[1], ours[2], seconds))
            mean = np.mean(rows, 0)
            print(
                f"| {size // SCALE} to {size} | {style or 'plain'} | {mean[0]:.1f} | {mean[1]:.1f} | {mean[2]:.3f} | "
                f"{mean[3]:.3f} | {mean[4]:.2f} | {mean[5]:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
