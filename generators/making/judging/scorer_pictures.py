"""The judges' training and test pictures: labelled drawings at 64 pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..drawings import data, icons, scenes
from ..drawings.styles import GREY
from ..drawings.vectors import chance, pick, shadowed
from ..training.pool import as_images
from .scorer import PLACES, SCENES, STYLES, names, number, parse

USES = 8  # average uses of a lesson
AGAIN = 4  # lessons per drawing
START, POOL = 512, 8192  # lessons in the pool at the start, and at most
IGNORED = -100  # cross_entropy's ignore_index
TESTING = 4  # the random sequence of the test pictures
VARIANTS = 4  # test variants of each scene in each of its styles


class Pictures(NamedTuple):
    """Labelled pictures: rgb (N, 3, 64, 64) uint8; name numbers (N, 2), equal unless a pair; style and place numbers
    (N,)."""

    rgb: Tensor
    names: Tensor
    style: Tensor
    place: Tensor

    def at(self, index: Tensor | list[int]) -> Pictures:
        return Pictures(*(column[index] for column in self))


def lesson(rng: np.random.Generator) -> data.Drawing:
    """Returns a training drawing: names and styles equally likely, by any hand except `icons.HELD_OUT`."""
    phrases, style = pick(rng, *names()), pick(rng, *STYLES)
    if scene := _scene_of(phrases, rng):
        drawing = _in_style(scene, style, rng)
    else:
        noun = phrases[0]
        match rng.choice(["alone", "placed", "grounded", "paired"], p=[0.68, 0.07, 0.21, 0.04]):
            case "alone":
                drawing = data.alone(noun, style, rng)
            case "placed":
                drawing = data.placed(noun, style, rng)
            case "grounded":
                drawing = data.grounded(noun, style, rng)
            case _:
                drawing = data.paired(noun, pick(rng, *data.NOUNS), rng)
    return replace(drawing, tint=data.tint(rng))


def shown(phrases: Sequence[str], style: str, rng: np.random.Generator) -> data.Drawing:
    """Returns a drawing of one of the `names` as pocket learns it: its scene or the thing alone; either if it
    has both."""
    scene = _scene_of(phrases, rng)
    drawing = _in_style(scene, style, rng) if scene else data.alone(phrases[0], style, rng)
    return replace(drawing, tint=data.tint(rng))


def _scene_of(phrases: Sequence[str], rng: np.random.Generator) -> Callable | None:
    scene = next((scene for scene, said in SCENES.items() if set(said) & set(phrases)), None)
    return scene if phrases[0] not in data.NOUNS or (scene and chance(rng, 0.5)) else None


def _in_style(scene: Callable, style: str, rng: np.random.Generator) -> data.Drawing:
    body, noun = scene(rng)
    return data.Drawing(body, style, data.captions(noun, style))


def held_out_icon(noun: str, style: str, rng: np.random.Generator) -> data.Drawing:
    """Returns a thing by the held-out hand, composed as `data.alone` does."""
    x, y = 128 + rng.uniform(-12, 12, 2)
    thing = icons.icon(data.NOUNS[noun], icons.HELD_OUT, x, y, rng.uniform(172, 236), tilt=rng.normal(0, 5))
    body = data.backdrop(style, rng) + shadowed(thing)
    return data.Drawing(body, style, data.captions(noun, style))


def labelled(drawings: Sequence[data.Drawing]) -> Pictures:
    """Returns the drawings as 2 x 2 averages of 128 pixels, with their labels."""
    rgb = [drawing.render(128).reshape(64, 2, 64, 2, 3).mean((1, 3)).round().astype(np.uint8) for drawing in drawings]
    labels = torch.tensor([_label(drawing) for drawing in drawings])
    pixels = torch.from_numpy(np.stack(rgb)).permute(0, 3, 1, 2).contiguous()
    return Pictures(pixels, labels[:, :2], labels[:, 2], labels[:, 3])


def _label(drawing: data.Drawing) -> tuple[int, int, int, int]:
    """Returns a drawing's labels: two names (equal unless a pair), style and place."""
    reading = parse(drawing.captions[0])
    found = [number(phrase) for phrase in reading.phrases]
    return found[0], found[-1], STYLES.index(drawing.style), PLACES.index(reading.place)


class Lesson(NamedTuple):
    """N augmented drawings as a judge's input, in half precision; the numbers of their names, (N, 2), of their style
    and of their place, (N,). The style is IGNORED if the augmentation removed it."""

    shown: Tensor
    names: Tensor
    style: Tensor
    place: Tensor


class Lessons:
    """A pool of the latest POOL lessons from the drawings of one random sequence, from `first` on.

    prepare: returns a judge's input. Each drawing gives AGAIN separately augmented lessons, each learned several times,
    because drawing, augmenting and preparing take longer than learning.
    """

    def __init__(self, prepare: Callable[[Tensor], Tensor], sequence: int, first: int = 0) -> None:
        self._prepare, self._count = prepare, 0
        self._drawn = (lesson(np.random.default_rng([sequence, number])) for number in count(first))
        some = self._next(START, torch.Generator().manual_seed(sequence))
        self._kept = Lesson(*(part.new_empty(POOL, *part.shape[1:]) for part in some))
        self._keep(some)

    def _next(self, size: int, rng: torch.Generator) -> Lesson:
        """Returns at least so many new lessons."""
        drawings = list(islice(self._drawn, -(-size // AGAIN)))
        drawn = Pictures(*(part.repeat_interleave(AGAIN, 0) for part in labelled(drawings)))
        images, styled = augmented(as_images(drawn.rgb), rng)
        style = torch.where(styled, drawn.style, IGNORED)
        return Lesson(self._prepare(images).half(), drawn.names, style, drawn.place)

    def _keep(self, some: Lesson) -> None:
        places = torch.arange(self._count, self._count + len(some.names)) % POOL
        for kept, part in zip(self._kept, some, strict=True):
            kept[places] = part
        self._count += len(places)

    def batch(self, size: int, rng: torch.Generator) -> Lesson:
        """Returns so many lessons, after replacing the oldest by a share of 1 / USES new ones."""
        self._keep(self._next(-(-size // USES), rng))
        index = torch.randint(min(self._count, POOL), (size,), generator=rng)
        return Lesson(*(part[index] for part in self._kept))


def tests() -> dict[str, Pictures]:
    """Returns unseen drawings in lots: "icons" by the held-out hand in all styles; and by the known hands, with other
    random numbers, "scenes", things in "places", and "pairs"."""
    nouns = list(data.NOUNS)
    lots: dict[str, list[Callable[[np.random.Generator], data.Drawing]]] = {
        "icons": [
            partial(held_out_icon, noun, style)
            for noun in nouns
            for style in STYLES
            if icons.has(data.NOUNS[noun], icons.HELD_OUT)
        ],
        "scenes": [
            partial(_in_style, scene, style)
            for scene, (_, drawn_in) in scenes.SCENES.items()
            for style in dict.fromkeys(drawn_in)
            for _ in range(VARIANTS)
        ],
        "places": [partial(data.grounded, noun, STYLES[k % len(STYLES)]) for k, noun in enumerate(nouns)],
        "pairs": [partial(data.paired, noun, nouns[(k + 29) % len(nouns)]) for k, noun in enumerate(nouns[::2])],
    }
    return {
        lot: labelled([make(np.random.default_rng([TESTING, k, which])) for which, make in enumerate(made)])
        for k, (lot, made) in enumerate(lots.items())
    }


def augmented(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Turns, shifts, scales, mirrors, blurs and recolours images (N, 3, 64, 64), and adds a hole and noise. Also
    returns whether each keeps its style, (N,): half are recoloured, a third of these in grey, so that shapes are
    learned.

    A fifth are blurred like a hybrid seen from far away: a box of 7 pixels, whose sigma is 2.
    """
    n = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    zoom, stretch, turn = torch.exp(uniform(-0.25, 0.25)), torch.exp(uniform(-0.12, 0.12)), uniform(-0.25, 0.25)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * zoom * stretch * turn.cos(), -zoom * turn.sin()
    theta[:, 1, 0], theta[:, 1, 1] = mirror * zoom * stretch * turn.sin(), zoom * turn.cos()
    theta[:, :, 2] = uniform(-0.15, 0.15, 2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    x = F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    near, far = (F.avg_pool2d(F.pad(x, (k // 2,) * 4, mode="replicate"), k, stride=1) for k in (3, 7))
    x = torch.lerp(x, near, uniform(-1, 1, 1, 1, 1).clamp(0, 1))
    x = torch.where(uniform(0, 1, 1, 1, 1) < 0.2, far, x)

    recoloured, grey = uniform(0, 1, 1, 1, 1) < 0.5, uniform(0, 1, 1, 1, 1) < 1 / 3
    tone = torch.einsum("c,nchw->nhw", torch.from_numpy(GREY), x)[:, None].expand_as(x)
    matrix = torch.eye(3) + 0.06 * torch.randn(n, 3, 3, generator=generator)
    other = torch.einsum("ncd,ndhw->nchw", matrix, torch.where(grey, tone, x))
    other = other * uniform(0.75, 1.15, 1, 1, 1) + uniform(-0.12, 0.12, 1, 1, 1)
    x = torch.where(recoloured, other, x)

    side, at = uniform(8, 22, 1, 1), uniform(0, 64, 2, 1)
    pixel = torch.arange(64).expand(n, 2, 64)
    inside = (pixel - at).abs() < side / 2
    hole = inside[:, 0, :, None] & inside[:, 1, None, :] & (uniform(0, 1, 1, 1) < 0.3)
    x = torch.where(hole[:, None], uniform(-1, 1, 3, 1, 1), x)
    noise = torch.randn(x.shape, generator=generator)
    return (x + uniform(0, 0.12, 1, 1, 1) * noise).clamp(-1, 1), ~recoloured.view(n)
