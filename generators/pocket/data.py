"""pocket's training pictures: named icons and drawn scenes in five styles, each with the sentences that describe it.

Every picture is a vector drawing that can be rendered at any size: at 256 pixels for stages 1 and 2 (the target of 64
pixels is the 4 x 4 average), at 1024 for stage 3. One geometry serves a name in all its styles, so that names and
styles can be learnt apart and combined. The input images of the report are not among the pictures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from .icons import icon, rasterise, rect, shadowed, sky
from .scenes import EMOJI, LITHOGRAPH, OIL, PHOTO, SCENES, SKETCH, pick, studio
from .styles import FILTERS

NAMES = """
airplane alien automobile avocado backpack balloon banana bear bee:honeybee bicycle bird birthday-cake bomb bone
bread bus butterfly cactus camel camera candle carrot castle cat:cat-face cherries chicken christmas-tree church
circus-tent clown:clown-face coffee:hot-beverage crab crescent-moon croissant crown cow:cow-face desert-island
diamond:gem-stone dolphin doughnut dragon-face drum duck elephant fire fish flamingo flower:hibiscus flying-saucer
fountain fox frog full-moon gear ghost giraffe globe:globe-showing-europe-africa grapes guitar hamburger hammer
hedgehog helicopter horse-face house hot-dog ice-cream jack-o-lantern key kite koala lemon lion lobster locomotive
magnet microphone monkey-face mountain:snow-capped-mountain mouse-face mushroom octopus orange:tangerine owl
palm-tree panda parrot peacock pear pencil penguin pig-face pine-tree:evergreen-tree pineapple pizza rabbit-face
rainbow red-apple ringed-planet robot rocket rose sailboat scissors shark sheep:ewe shoe:running-shoe skull snail
snowflake snowman:snowman-without-snow spider star statue-of-liberty strawberry sun sunflower swan t-rex taxi teapot
teddy-bear telescope tent tiger-face top-hat tractor train tree:deciduous-tree trophy tropical-fish trumpet tulip
turtle umbrella unicorn violin volcano watermelon wave:water-wave whale wine-glass wolf zebra dog:dog-face
man woman baby old-man old-woman man-with-a-beard:man-beard astronaut:man-astronaut cook:man-cook
detective:man-detective wizard:man-mage police-officer:man-police-officer santa-claus princess ninja
""".split()

SYNONYMS = {
    "airplane": "a plane", "automobile": "a car", "bee": "a honeybee", "bicycle": "a bike", "coffee": "a cup of coffee",
    "desert island": "a beach", "diamond": "a gem", "dog": "a puppy", "doughnut": "a donut", "flower": "a blossom",
    "flying saucer": "a spaceship of aliens", "fire": "a flame", "globe": "the earth", "hamburger": "a burger",
    "house": "a home", "jack o lantern": "a pumpkin", "locomotive": "a steam engine", "man": "a young man",
    "mountain": "a snowy mountain", "old man": "an elderly man", "old woman": "a grandmother", "orange": "a tangerine",
    "pencil": "a yellow pencil", "red apple": "an apple", "ringed planet": "a planet", "robot": "an android",
    "rocket": "a rocket ship", "sheep": "an ewe", "shoe": "a sneaker", "skull": "a human skull", "t rex": "a dinosaur",
    "cat": "a kitten", "teddy bear": "a toy bear", "tree": "a green tree", "trophy": "a golden cup", "wave": "the sea",
    "top hat": "a black hat", "man with a beard": "a hipster", "woman": "a young woman", "star": "a yellow star",
}  # fmt: skip
COURSE = {  # the course's objects, drawn more often in the style that it asks for
    "an old man": OIL, "a man": PHOTO, "a dog": PHOTO, "a skull": LITHOGRAPH, "a pencil": "", "a rocket": "",
}  # fmt: skip
GROUNDS = {  # where things stand: sky, ground
    "on the grass": ("#8cc4f0", "#e6f4fc", "#6fae4a"),
    "in the snow": ("#b4c8dc", "#eef4fa", "#ffffff"),
    "in the desert": ("#f0c48c", "#fbe8c8", "#d9a860"),
    "at night": ("#0c1030", "#30386a", "#1c2438"),
    "by the sea": ("#8ccdf0", "#e0f4fc", "#2f86bd"),
}
HIGH_QUALITY = "a high quality photo"


@dataclass(frozen=True)
class Drawing:
    """One training picture: an SVG fragment, its style word ("" for plain), its captions, how often it is drawn."""

    body: str
    style: str
    captions: tuple[str, ...]
    weight: float

    def render(self, size: int) -> np.ndarray:
        """The picture as uint8 RGB of shape (size, size, 3)."""
        return (FILTERS[self.style](rasterise(self.body, size)) * 255).round().astype(np.uint8)


def phrase(word: str) -> str:
    """ "cat-face" as "a cat"."""
    words = word.removesuffix("-face").replace("-", " ")
    return ("an " if words[0] in "aeiou" else "a ") + words


@cache
def nouns() -> dict[str, str]:
    """Noun phrase to icon key: {"a cat": "cat-face", …}."""
    pairs = (item.partition(":") for item in NAMES)
    return {phrase(word): key or word for word, _, key in pairs}


def captions(noun: str, style: str) -> tuple[str, ...]:
    """The sentences for a thing in a style, the plainest three times as often as the others."""
    said = [noun] * 3
    if synonym := SYNONYMS.get(noun.split(" ", 1)[-1]):
        said.append(synonym)
    if style:
        said = [f"{style} {words}" for words in said]
    return (*said, HIGH_QUALITY) if style == PHOTO else tuple(said)


def plain(noun: str, package: str = "fluent-emoji-flat") -> Drawing:
    """A thing by itself on white."""
    body = rect(0, 0, 256, 256, "#f8f8f8") + icon(nouns()[noun], package, 16, 16, 224)
    return Drawing(body, "", captions(noun, ""), 1.0)


def staged(noun: str, style: str, rng: np.random.Generator, package: str = EMOJI) -> Drawing:
    """A thing by itself in a style, large and in the middle; colours of the backdrop vary."""
    return Drawing(
        _ground(style, rng) + shadowed(icon(nouns()[noun], package, 12, 12, 232)), style, captions(noun, style), 1.0
    )


def _ground(style: str, rng: np.random.Generator) -> str:
    match style:
        case "an oil painting of":
            return sky(*pick(rng, ("#2c2018", "#6e5238"), ("#20262c", "#5a6058"), ("#3a2026", "#7a5044")))
        case "a photo of":
            return studio(rng)
        case _:
            return rect(0, 0, 256, 256, "#f8f8f8")


def placed(noun: str, style: str, rng: np.random.Generator) -> Drawing:
    """A thing smaller and off the middle; half of the captions say where."""
    where, x, y = pick(
        rng, ("on the left", 4, 70), ("on the right", 120, 70), ("at the top", 60, 4), ("at the bottom", 60, 120)
    )
    size = rng.uniform(118, 140)
    body = _ground(style, rng) + shadowed(icon(nouns()[noun], EMOJI, x, y, size, mirror=bool(rng.integers(2))))
    said = captions(noun, style)
    return Drawing(body, style, (*said, *(f"{words} {where}" for words in said)), 0.4)


def grounded(noun: str, rng: np.random.Generator) -> Drawing:
    """A thing in a landscape."""
    where = pick(rng, *GROUNDS)
    top, bottom, ground = GROUNDS[where]
    body = sky(top, bottom) + rect(0, 176, 256, 80, ground)
    body += icon(nouns()[noun], EMOJI, rng.uniform(20, 80), 48, 160, mirror=bool(rng.integers(2)))
    return Drawing(body, PHOTO, (f"{noun} {where}", f"a photo of {noun} {where}", HIGH_QUALITY), 0.4)


def paired(left: str, right: str) -> Drawing:
    """Two things side by side."""
    body = rect(0, 0, 256, 256, "#f8f8f8")
    body += icon(nouns()[left], "fluent-emoji-flat", 6, 68, 120) + icon(
        nouns()[right], "fluent-emoji-flat", 130, 68, 120
    )
    return Drawing(body, "", (f"{left} and {right}", f"{left} next to {right}"), 0.4)


def drawings() -> Iterator[Drawing]:
    """Every training picture, in a fixed order."""
    every = list(nouns())
    for index, noun in enumerate(every):
        rng = np.random.default_rng(index)
        yield _weighted(plain(noun), 2.0, noun)
        for style, count in ((PHOTO, 2), (OIL, 1), (LITHOGRAPH, 1), (SKETCH, 1)):
            for _ in range(count * (4 if COURSE.get(noun) == style else 1)):
                yield _weighted(staged(noun, style, rng), 1.0 / count, noun)
        yield placed(noun, pick(rng, "", PHOTO, OIL), rng)
        yield grounded(noun, rng)
        yield paired(noun, every[rng.integers(len(every))])
    for noun, style in COURSE.items():
        rng = np.random.default_rng(len(noun))
        yield from (placed(noun, style, rng) for _ in range(12))
    for scene, (variants, styles) in SCENES.items():
        for k in range(variants):
            body, noun = scene(np.random.default_rng([k, len(scene.__name__)]))
            for style in styles:
                yield Drawing(body, style, captions(noun, style), 20 / variants)


def _weighted(drawing: Drawing, weight: float, noun: str) -> Drawing:
    """The drawing at a weight of its own, eight times as much where the course asks for it."""
    return Drawing(
        drawing.body, drawing.style, drawing.captions, weight * (4 if COURSE.get(noun) == drawing.style else 1)
    )
