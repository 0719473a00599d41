"""The training pictures as pixels: rasterised once, kept in .cache/pocket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import data

CACHE = Path(__file__).parents[2] / ".cache" / "pocket"
EVERY = 8  # for details, of so many drawings one is rendered at 1024 pixels; that takes seconds each
DETAILS, SIDE = 12, 256  # of each of these so many details are kept, of so many pixels a side


def pictures() -> dict[str, np.ndarray]:
    """All drawings at 256 pixels, for stages 1 and 2.

    `rgb` uint8 (N, 256, 256, 3); `captions` (N,), those of a drawing joined by newlines; `weights` (N,), how often each
    is drawn.
    """
    return _kept("pictures", _pictures)


def small() -> tuple[Tensor, list[tuple[str, ...]], Tensor]:
    """All drawings at 64 pixels, the 4 x 4 averages: uint8 (N, 3, 64, 64); their captions; their weights (N,)."""
    stored = pictures()
    rgb = stored["rgb"].reshape(-1, 64, 4, 64, 4, 3).mean((2, 4)).round().astype(np.uint8)
    captions = [tuple(text.split("\n")) for text in stored["captions"].tolist()]
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).contiguous(), captions, torch.from_numpy(stored["weights"])


def details() -> dict[str, np.ndarray]:
    """Details of drawings at 1024 pixels, for stage 3: `rgb` uint8 (N, 256, 256, 3)."""
    return _kept("details", _details)


def _kept(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, np.ndarray]:
    path = CACHE / f"{name}.npz"
    if not path.exists():
        print(f"rasterising the {name} …", flush=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")  # a run that is killed leaves no half of a file behind
        np.savez(part, **make())
        part.rename(path)
    with np.load(path) as stored:
        return dict(stored)


def _pictures() -> dict[str, np.ndarray]:
    drawings = list(data.drawings())
    return {
        "rgb": np.stack([drawing.render(256) for drawing in drawings]),
        "captions": np.array(["\n".join(drawing.captions) for drawing in drawings]),
        "weights": np.array([drawing.weight for drawing in drawings]),
    }


def _details() -> dict[str, np.ndarray]:
    """Squares on the 4-pixel grid; where there is more to see, more are taken: most of a drawing is one even colour."""
    rng, found = np.random.default_rng(0), []
    for drawing in list(data.drawings())[::EVERY]:
        whole = drawing.render(1024)
        corners = 4 * rng.integers(0, (1024 - SIDE) // 4 + 1, (4 * DETAILS, 2))
        squares = np.stack([whole[y : y + SIDE, x : x + SIDE] for y, x in corners])
        chance = 2.0 + squares[:, ::4, ::4].std((1, 2)).mean(-1)
        found.append(squares[rng.choice(len(squares), DETAILS, replace=False, p=chance / chance.sum())])
    return {"rgb": np.concatenate(found)}
