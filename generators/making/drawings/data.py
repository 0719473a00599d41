"""pocket's training pictures: an endless supply of drawings of named things and scenes, each with captions.

Each call of `draw(rng)` returns a new drawing: an icon from one of several sets with random size, place, tilt, colours
and backdrop, or a scene with all parts randomised. Drawings are vectors and are rendered at 64 pixels for stage 1, 256
for stage 2 and 1024 for stage 3. The input images of the report are never drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from .icons import HELD_OUT, any_icon, icon
from .names import NOUNS, synonym
from .nature import daylight, dim, hills, studio
from .scenes import SCENES, VIEWS
from .sights import animal
from .styles import ANY, FILTERS, LITHOGRAPH, OIL, PHOTO, SKETCH
from .vectors import UNITS, chance, moved, near, pick, rasterise, rect, shadowed, sky

GROUNDS = {  # settings: top and bottom of the sky, ground
    "on the grass": ("#8cc4f0", "#e6f4fc", "#6fae4a"),
    "in the snow": ("#b4c8dc", "#eef4fa", "#ffffff"),
    "in the desert": ("#f0c48c", "#fbe8c8", "#d9a860"),
    "at night": ("#0c1030", "#30386a", "#1c2438"),
    "by the sea": ("#8ccdf0", "#e0f4fc", "#2f86bd"),
}
PLACES = {  # positions: the centre of the thing, in units
    "on the left": (76, 128),
    "on the right": (180, 128),
    "at the top": (128, 76),
    "at the bottom": (128, 180),
}
MEADOW = "in a meadow"  # the setting of animals; no landscape of GROUNDS
HIGH_QUALITY = "a high quality photo"
SCENERY = 0.5  # share of scenes among all drawings
TINT = 0.07  # standard deviation of the colour matrix from the identity


@dataclass(frozen=True)
class Drawing:
    """One picture: an SVG fragment, its style ("" for plain), its captions, and a 3 x 3 colour matrix by rows."""

    body: str
    style: str
    captions: tuple[str, ...]
    tint: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)

    def render(self, size: int) -> np.ndarray:
        """Renders the picture as uint8 RGB, (size, size, 3)."""
        rgb = rasterise(self.body, size) @ np.array(self.tint, np.float32).reshape(3, 3).T
        return (FILTERS[self.style](rgb.clip(0, 1)) * 255).round().astype(np.uint8)


def captions(noun: str, style: str) -> tuple[str, ...]:
    """Returns the captions of a thing in a style; the plain noun is listed three times, so that it is chosen more."""
    phrases = [noun] * 3
    if other := synonym(noun):
        phrases.append(other)
    return tuple(f"{style} {words}".lstrip() for words in phrases)


def view_captions(captions: tuple[str, ...], style: str) -> tuple[str, ...]:
    """Adds HIGH_QUALITY to the captions of a whole view if it is a photo."""
    return (*captions, *[HIGH_QUALITY] * 5) if style == PHOTO else captions


def draw(rng: np.random.Generator) -> Drawing:
    """Draws a random training picture."""
    if chance(rng, SCENERY):
        drawing = scene(rng)
    else:
        noun = pick(rng, *NOUNS)
        kind = rng.choice(["alone", "placed", "grounded", "outdoors", "paired"], p=[0.66, 0.09, 0.12, 0.08, 0.05])
        match kind:
            case "alone":
                drawing = alone(noun, pick(rng, *ANY), rng)
            case "placed":
                drawing = placed(noun, pick(rng, *ANY), rng)
            case "grounded":
                drawing = grounded(noun, pick(rng, PHOTO, "", OIL), rng)
            case "outdoors":
                drawing = outdoors(pick(rng, PHOTO, PHOTO, OIL), rng)
            case _:
                drawing = paired(noun, pick(rng, *NOUNS), rng)
    return Drawing(drawing.body, drawing.style, drawing.captions, tint(rng))


def tint(rng: np.random.Generator) -> tuple[float, ...]:
    """Draws a colour matrix near the identity that approximately preserves white, as 9 numbers by rows."""
    off = rng.normal(0, TINT, (3, 3))
    matrix = np.eye(3) + off - 0.8 * off.mean(1, keepdims=True)
    return tuple(matrix.ravel().tolist())


def scene(rng: np.random.Generator) -> Drawing:
    """Draws a random scene in one of its styles, zoomed by up to 20 %, shifted within that margin, half mirrored."""
    odds = np.array([weight for weight, _ in SCENES.values()])
    which = list(SCENES)[rng.choice(len(odds), p=odds / odds.sum())]
    body, noun = which(rng)
    style = pick(rng, *SCENES[which][1])
    zoom = 1 + 0.2 * rng.random() ** 2
    room = (zoom - 1) * UNITS / 2
    dx, dy = rng.uniform(-room, room, 2)
    body = moved(body, dx, dy, zoom, mirror=chance(rng, 0.5))
    named = captions(noun, style)
    return Drawing(body, style, view_captions(named, style) if which in VIEWS else named)


def alone(noun: str, style: str, rng: np.random.Generator) -> Drawing:
    """Draws one thing in a style, large and near the middle."""
    return _alone(partial(any_icon, rng, NOUNS[noun]), noun, style, rng)


def held_out(noun: str, style: str, rng: np.random.Generator) -> Drawing:
    """Draws what `alone` draws, by the hand that is never trained on. Raises KeyError if it has no such icon."""
    return _alone(partial(icon, NOUNS[noun], HELD_OUT), noun, style, rng)


def _alone(placed_icon: Callable[..., str], noun: str, style: str, rng: np.random.Generator) -> Drawing:
    x, y = 128 + rng.uniform(-12, 12, 2)
    thing = placed_icon(x, y, rng.uniform(172, 236), tilt=rng.normal(0, 5))
    return Drawing(backdrop(style, rng) + shadowed(thing), style, captions(noun, style))


def placed(noun: str, style: str, rng: np.random.Generator) -> Drawing:
    """Draws a smaller thing off the middle; half of the captions name its position."""
    where = pick(rng, *PLACES)
    x, y = np.array(PLACES[where]) + rng.uniform(-10, 10, 2)
    body = backdrop(style, rng) + shadowed(any_icon(rng, NOUNS[noun], x, y, rng.uniform(110, 146)))
    named = captions(noun, style)
    return Drawing(body, style, (*named, *(f"{words} {where}" for words in named)))


def grounded(noun: str, style: str, rng: np.random.Generator) -> Drawing:
    """Draws a thing in a landscape that the captions name."""
    where = pick(rng, *GROUNDS)
    top, bottom, ground = (near(rng, colour, 0.05) for colour in GROUNDS[where])
    body = sky(top, bottom) + hills(rng, rng.uniform(166, 190), ground, rng.uniform(0, 10))
    body += any_icon(rng, NOUNS[noun], rng.uniform(90, 166), rng.uniform(118, 144), rng.uniform(136, 184))
    return Drawing(body, style, (f"{style} {noun} {where}".strip(),))


def outdoors(style: str, rng: np.random.Generator) -> Drawing:
    """Draws a sitting animal in a meadow that the captions name."""
    body, noun = animal(rng)
    caption = f"{style} {noun} {MEADOW}"
    return Drawing(body, style, view_captions((caption, caption), style))


def paired(left: str, right: str, rng: np.random.Generator) -> Drawing:
    """Draws two things side by side."""
    body = backdrop("", rng)
    for noun, x in ((left, 68), (right, 188)):
        body += any_icon(rng, NOUNS[noun], x, rng.uniform(116, 140), rng.uniform(104, 124))
    return Drawing(body, "", (f"{left} and {right}", f"{left} next to {right}"))


def backdrop(style: str, rng: np.random.Generator) -> str:
    """Draws a random backdrop for a thing in a style."""
    match style:
        case _ if style == OIL:
            return pick(rng, dim, studio)(rng)
        case _ if style == PHOTO:
            if chance(rng, 0.25):
                return daylight(rng) + hills(rng, rng.uniform(170, 210), near(rng, "#7aa860", 0.15), 8)
            return studio(rng)
        case _ if style in (LITHOGRAPH, SKETCH) and chance(rng, 0.3):
            return studio(rng)
        case _:
            return rect(-10, -10, 276, 276, "#f8f8f8")
