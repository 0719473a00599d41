"""What the scorer learns from and is tested on: labelled real pictures at 64 pixels, rendered once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import data, icons, scenes, styles
from .pictures import small
from .progress import Progress
from .scorer import PLACES, STYLES, numbers, parse

FOLDER = Path(__file__).parents[2] / ".cache" / "pocket" / "scorer"
VARIANTS = 4  # of each scene, for testing; none is among pocket's own


class Pictures(NamedTuple):
    """Labelled pictures: rgb (N, 3, 64, 64) uint8; the numbers of the names, (N, 2), twice the same unless a pair; of
    the style and of the place, (N,)."""

    rgb: Tensor
    names: Tensor
    style: Tensor
    place: Tensor

    def at(self, index: Tensor) -> Pictures:
        return Pictures(*(column[index] for column in self))


def _icons() -> Iterator[tuple[str, data.Drawing]]:
    """Icons in all styles that pocket does not learn from, each with its lot: "icons" for the held-out package's."""
    pockets = {("fluent-emoji-flat", ""), *((scenes.EMOJI, style) for style in STYLES[1:])}
    for index, noun in enumerate(data.nouns()):
        for package in icons.PACKAGES:
            rng = np.random.default_rng([index, len(package)])
            for style in STYLES:
                if (package, style) not in pockets:
                    drawing = data.staged(noun, style, rng, package) if style else data.plain(noun, package)
                    yield "icons" if package == icons.HELD_OUT else "train", drawing


def _compositions() -> Iterator[tuple[str, data.Drawing]]:
    """Landscapes in all styles, and for testing other landscapes, pairs and scenes than pocket's."""
    nouns = list(data.nouns())
    for index, noun in enumerate(nouns):
        rng, style = np.random.default_rng([7, index]), STYLES[index % len(STYLES)]
        for lot in ("train", "places"):
            landscape = data.grounded(noun, rng)
            said = f"{style} {landscape.captions[0]}".strip()
            if lot == "train" or index % 2:
                yield lot, replace(landscape, style=style, captions=(said,))
        if index % 4 == 0:
            yield "pairs", data.paired(noun, nouns[rng.integers(len(nouns))])
    for scene, (_, drawn_in) in scenes.SCENES.items():
        for k in range(VARIANTS):
            body, noun = scene(np.random.default_rng([1000 + k, len(scene.__name__)]))
            for style in drawn_in:
                yield "scenes", data.Drawing(body, style, data.captions(noun, style), 1.0)


def pictures() -> dict[str, Pictures]:
    """The lots of real pictures: "train", and for testing "icons", "places", "pairs", "scenes". Kept on disk.

    Those that pocket learns from belong to "train". Needs the icon packages the first time.
    """
    rgb, captions, _ = small()
    own: tuple[Tensor, list[Sequence[str]], list[str]] = (rgb, [*captions], ["train"] * len(rgb))
    parts = [own, _kept("icons", _icons), _kept("compositions", _compositions)]
    labels = torch.tensor([_label(said) for _, captions, _ in parts for said in captions])
    every = Pictures(torch.cat([rgb for rgb, _, _ in parts]), labels[:, :2], labels[:, 2], labels[:, 3])
    lots = np.array([lot for *_, lots in parts for lot in lots])
    return {str(lot): every.at(torch.from_numpy(np.flatnonzero(lots == lot))) for lot in np.unique(lots)}


def _label(captions: Sequence[str]) -> tuple[int, int, int, int]:
    """What a picture of these captions shows: two names (the same unless a pair), the style and the place."""
    readings = [parse(caption) for caption in captions]
    found = [numbers()[phrase] for phrase in readings[0].phrases]
    style = max((reading.style for reading in readings), key=len)
    return found[0], found[-1], STYLES.index(style), PLACES.index(readings[0].place)


def _kept(
    name: str, drawings: Callable[[], Iterable[tuple[str, data.Drawing]]]
) -> tuple[Tensor, list[Sequence[str]], list[str]]:
    """The drawings at 64 pixels, uint8 (N, 3, 64, 64), their captions and lots; rendered once, then kept."""
    lots, drawn = zip(*drawings(), strict=True)
    content = hashlib.sha256("".join(drawing.style + drawing.body for drawing in drawn).encode()).hexdigest()
    kept = FOLDER / f"{name}-{content[:12]}.npz"
    if not kept.exists():
        progress, rgb = Progress(name, len(drawn)), []
        raster = lru_cache(maxsize=4)(_raster)  # for neighbours that differ in style alone
        for drawing in drawn:
            blocks = styles.FILTERS[drawing.style](raster(drawing.body)).reshape(64, 2, 64, 2, 3)
            rgb.append((blocks.mean((1, 3)) * 255).round().astype(np.uint8).transpose(2, 0, 1))
            progress.step()
        FOLDER.mkdir(parents=True, exist_ok=True)
        np.savez(kept.with_suffix(".part.npz"), rgb=np.stack(rgb))
        kept.with_suffix(".part.npz").rename(kept)
    with np.load(kept) as stored:
        return torch.from_numpy(stored["rgb"]), [drawing.captions for drawing in drawn], list(lots)


def _raster(body: str) -> np.ndarray:
    """A drawing at 128 pixels: about one grey level from the mean of 256, at a quarter of the time."""
    return icons.rasterise(body, 128)


def as_images(rgb: Tensor) -> Tensor:
    """uint8 pictures as images in -1 … 1."""
    return rgb.float() / 127.5 - 1


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images (N, 3, 64, 64) shifted, scaled, mirrored left to right, tinted, some blurred, with a little noise.

    A fifth are blurred as much as what a hybrid image shows from afar: a box of 7 pixels, whose sigma is 2.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(images), *shape, generator=generator)

    zoom = torch.exp(uniform(-0.25, 0.25))
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = zoom * torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = zoom
    theta[:, :, 2] = uniform(-0.15, 0.15, 2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    x = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    near, far = (F.avg_pool2d(F.pad(x, (k // 2,) * 4, mode="replicate"), k, stride=1) for k in (3, 7))
    x = torch.lerp(x, near, uniform(-1, 1, 1, 1, 1).clamp(0, 1))
    x = torch.where(uniform(0, 1, 1, 1, 1) < 0.2, far, x)
    x = x * uniform(0.8, 1.1, 1, 1, 1) * uniform(0.92, 1.08, 3, 1, 1) + uniform(-0.1, 0.1, 1, 1, 1)
    noise = torch.randn(x.shape, generator=generator)
    return (x + uniform(0, 0.1, 1, 1, 1) * noise).clamp(-1, 1)
