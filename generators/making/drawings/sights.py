"""Random photo subjects beyond the course's prompts: buildings, cities, landscapes, boats, animals outdoors."""

import numpy as np

from .icons import any_icon
from .nature import daylight, hills, house, meadow, peaks, tree
from .vectors import (
    Scene,
    bow,
    chance,
    ellipse,
    moved,
    near,
    path,
    pick,
    polygon,
    rect,
    shade,
    sky,
    smooth,
    stroke,
    symmetric,
)


def tower(rng: np.random.Generator) -> Scene:
    """A tower before hills and roofs, with storeys, a clock and a belfry at random, and a random roof."""
    body = daylight(rng)
    if chance(rng, 0.6):
        body += hills(rng, rng.uniform(170, 210), near(rng, pick(rng, "#7a9a78", "#8a9ab0", "#9aa878")), 24)
    for x in rng.uniform(-30, 240, int(rng.integers(0, 4))):
        w, h = rng.uniform(40, 90), rng.uniform(24, 44)
        body += rect(x, 226 - h, w, h, near(rng, "#e8dcc4")) + polygon(
            [(x - 4, 226 - h), (x + 8, 208 - h), (x + w - 8, 208 - h), (x + w + 4, 226 - h)], near(rng, "#b8563a")
        )
    x, w, top = rng.uniform(84, 172), rng.uniform(28, 60), rng.uniform(44, 100)
    wall = near(rng, pick(rng, "#d8d2c4", "#c9b79c", "#b9b4ae", "#a86a4c", "#efe8d8"), 0.05)
    roof, dark = near(rng, pick(rng, "#8d8a86", "#9a5a44", "#5f7d78", "#3c4654")), "#3a3f48"
    body += rect(x - w / 2, top, w, 256 - top, wall) + rect(x + w * 0.22, top, w * 0.28, 256 - top, "#000000", 0.13)
    spire = rng.uniform(18, 58)
    if chance(rng, 0.75):
        body += polygon([(x - w * 0.58, top), (x, top - spire), (x + w * 0.58, top)], roof)
    else:
        body += rect(x - w * 0.58, top - 8, w * 1.16, 10, roof)
    body += rect(x - w * 0.6, top - 3, w * 1.2, 6, shade(wall, 1.1))
    level = top + rng.uniform(8, 16)
    if chance(rng, 0.5):  # a belfry
        h = w * 0.7
        for f in (-0.3, 0, 0.3):
            body += rect(x + w * (f - 0.09), level, w * 0.18, h, dark) + ellipse(
                x + w * f, level, w * 0.09, w * 0.09, dark
            )
        level += h + 8
        body += rect(x - w * 0.55, level - 4, w * 1.1, 4, shade(wall, 1.1))
    if chance(rng, 0.5):  # a clock
        r = w * 0.3
        body += ellipse(x, level + r + 4, r, r, "#f8f4e8") + stroke(
            f"M{x:.1f} {level + 6:.1f}V{level + r + 4:.1f}h{r * 0.6:.1f}", dark, 2.4
        )
        level += 2 * r + 12
    for y in np.arange(level, 218, rng.uniform(22, 46)):
        for f in (-0.16, 0.16) if w > 38 else (0,):
            body += rect(x + w * f - w * 0.07, y, w * 0.14, rng.uniform(10, 18), dark)
    return body + meadow(rng), pick(rng, "a tower", "a bell tower")


def hall(rng: np.random.Generator) -> Scene:
    """A building with a row of columns under a gable, and wings with windows at its sides."""
    body, stone = daylight(rng), near(rng, pick(rng, "#efe6d4", "#d8d2c4", "#e8d8bc", "#c8beb0"), 0.04)
    base, w, h = rng.uniform(190, 214), rng.uniform(90, 150), rng.uniform(56, 84)
    x = 128 + rng.uniform(-14, 14)
    for t in rng.uniform(-10, 266, int(rng.integers(2, 7))):
        body += tree(rng, t, base, rng.uniform(60, 110))
    wing = h * rng.uniform(0.7, 0.95)
    if chance(rng, 0.85):
        body += rect(x - 124, base - wing, 248, wing, shade(stone, 0.93)) + rect(
            x - 128, base - wing - 8, 256, 9, near(rng, pick(rng, "#6a9a88", "#b8563a", "#8d8a86"))
        )
        for wx in np.arange(x - 116, x + 112, 19):
            for wy in (0.78, 0.36):
                body += rect(wx, base - wing * wy, 8, wing * 0.24, "#4a5a78")
    body += rect(x - w / 2, base - h, w, h, shade(stone, 0.6))
    count = int(rng.integers(4, 9))
    for k in range(count):
        cx = x - w / 2 + (k + 0.5) * w / count
        body += rect(cx - w / count * 0.24, base - h, w / count * 0.48, h, stone)
    body += rect(x - w * 0.54, base - h - 9, w * 1.08, 10, stone) + rect(x - w * 0.56, base - 4, w * 1.12, 12, stone)
    gable = h * rng.uniform(0.45, 0.7)
    body += polygon(
        [(x - w * 0.56, base - h - 9), (x, base - h - 9 - gable), (x + w * 0.56, base - h - 9)], shade(stone, 1.04)
    )
    body += polygon(
        [(x - w * 0.4, base - h - 13), (x, base - h - 4 - gable * 0.85), (x + w * 0.4, base - h - 13)],
        shade(stone, 0.78),
    )
    return body + moved(meadow(rng), dy=base - 214), "a building"


def pagoda(rng: np.random.Generator) -> Scene:
    """Storeys that narrow upwards, each with a curved roof."""
    body = daylight(rng) + hills(rng, 190, near(rng, pick(rng, "#8aa0b8", "#7a9a78", "#a8b8c8")), 20)
    x, storeys = 128 + rng.uniform(-20, 20), int(rng.integers(2, 6))
    wall, roof = (
        near(rng, pick(rng, "#9a3c2c", "#7a3a34", "#c8a878", "#5a4038")),
        near(rng, pick(rng, "#c87838", "#4a6a5a", "#5a4a44", "#8a5a34")),
    )
    wide, high, y = rng.uniform(110, 200), 190 / storeys * rng.uniform(0.8, 0.95), 240.0
    for k in range(storeys):
        w = wide * (1 - 0.62 * k / storeys)
        body += rect(x - w * 0.36, y - high * 0.6, w * 0.72, high * 0.62, wall)
        for f in np.linspace(-0.28, 0.28, 4):
            body += rect(x + w * f - 3, y - high * 0.5, 6, high * 0.38, shade(wall, 0.5))
        eave, ridge = y - high * 0.52, y - high * 0.95
        half = [(w * 0.2, ridge), (w * 0.26, ridge), (w * 0.34, eave - 5), (w * 0.64, eave - 6), (w * 0.42, eave + 7)]
        body += path(smooth(symmetric(half, x)), roof)
        y -= high * 0.86
    body += polygon([(x - 12, y + 4), (x, y - 20), (x + 12, y + 4)], shade(roof, 0.8))
    for t in rng.uniform(-10, 266, int(rng.integers(2, 7))):
        body += tree(rng, t, rng.uniform(236, 262), rng.uniform(40, 90))
    return body, pick(rng, "a pagoda", "a temple")


def skyline(rng: np.random.Generator) -> Scene:
    body = sky(
        *pick(rng, ("#5a96dc", "#d8e8f6"), ("#28285a", "#c8786e"), ("#96aabe", "#e6e8ec"), ("#0c1030", "#3a3460"))
    )
    lit, step = pick(rng, "#f5e3a2", "#ffd76a", "#c8dcec"), rng.uniform(24, 46)
    for x in np.arange(-10, 262, step):
        h, w = rng.uniform(50, 200), step * rng.uniform(0.75, 1.1)
        wall = near(rng, pick(rng, "#7e8794", "#b0a79a", "#5c6675", "#c7a98a"))
        body += rect(x, 256 - h, w, h + 10, wall)
        for y in np.arange(256 - h + 10, 250, 18):
            for f in (0.2, 0.6):
                body += rect(x + w * f, y, w * 0.18, 8, lit if chance(rng, 0.6) else shade(wall, 0.5))
    return body, "a city"


def landscape(rng: np.random.Generator) -> Scene:
    body, base = daylight(rng), rng.uniform(140, 200)
    if chance(rng, 0.4):
        r = rng.uniform(14, 28)
        body += ellipse(rng.uniform(20, 236), rng.uniform(20, 80), r, r, near(rng, "#ffe08a", 0.05))
    rock, snow = pick(rng, "#5f7f6a", "#7a6f8d", "#8a7660", "#6a7a90"), pick(rng, "#f2f6fa", "#a9bfae", "#c8b8a8")
    body += peaks(rng, base + 10, rock, snow, int(rng.integers(2, 5)))
    body += hills(rng, base, near(rng, pick(rng, "#6fa050", "#3d87b8", "#c9b26b", "#86a860")), rng.uniform(2, 14))
    for x in rng.uniform(-10, 266, int(rng.integers(0, 7))):
        body += tree(rng, x, rng.uniform(base + 8, 250), rng.uniform(36, 90))
    return body, "a landscape"


def cottage(rng: np.random.Generator) -> Scene:
    """A house close up, with a tree beside it."""
    body = daylight(rng) if chance(rng, 0.7) else rect(-10, -10, 276, 276, "#fbfaf4")
    body += hills(rng, rng.uniform(190, 214), near(rng, "#6fae4a"), 6)
    w = rng.uniform(80, 120)
    wall, roof = (
        near(rng, pick(rng, "#fbf6ea", "#e8c8a0", "#c8d8e0", "#d8a890")),
        near(rng, pick(rng, "#c8402c", "#8a4a34", "#4a5a6a")),
    )
    body += house(rng, rng.uniform(70, 150), rng.uniform(206, 222), w, wall, roof)
    for _ in range(int(rng.integers(0, 3))):
        body += tree(rng, pick(rng, rng.uniform(10, 60), rng.uniform(216, 250)), 220, rng.uniform(70, 120))
    return body, "a house"


def boat(rng: np.random.Generator) -> Scene:
    """A boat under sail."""
    body = daylight(rng) if chance(rng, 0.7) else rect(-10, -10, 276, 276, "#fbfaf4")
    level, x, w = rng.uniform(180, 206), 128 + rng.uniform(-16, 16), rng.uniform(110, 170)
    sea = near(rng, "#2f86bd")
    body += rect(-10, level, 276, 100, sea) if chance(rng, 0.8) else ""
    h = w * rng.uniform(0.8, 1.05)
    mast, hull = level - 12, near(rng, pick(rng, "#8a4a2a", "#c8402c", "#f4efe4", "#2c4a6a"))
    body += rect(x - 3, mast - h, 6, h, "#6a4a30")
    body += polygon(
        [(x - 6, mast - 6), (x - 6, mast - h * 0.95), (x - w * 0.42, mast - 6)],
        near(rng, pick(rng, "#fdfdfd", "#e04a3c", "#f0d080")),
    )
    body += polygon(
        [(x + 6, mast - 6), (x + 6, mast - h * 0.8), (x + w * 0.36, mast - 6)],
        near(rng, pick(rng, "#fdfdfd", "#a8c8e8", "#f0d080")),
    )
    body += polygon([(x - w / 2, mast), (x + w / 2, mast), (x + w * 0.36, mast + 34), (x - w * 0.36, mast + 34)], hull)
    for k, y in enumerate(np.arange(level + 12, 256, 16)):
        d = f"M{-20 + 12 * (k % 2)} {y:.1f}" + "q12 -9 24 0t24 0" * 6
        body += stroke(d, shade(sea, pick(rng, 0.85, 1.25)), 5)
    return body, "a sailboat"


ANIMALS = {  # the icon of each head, and the colours of its coat
    "a fox": ("fox", "#e8742c", "#d85a20"),
    "a cat": ("cat-face", "#f0b43c", "#8a8a90", "#e8a04a"),
    "a dog": ("dog-face", "#b5793f", "#d8a868", "#8a5a34"),
    "a bear": ("bear", "#8a5a3a", "#a86c44"),
    "a lion": ("lion", "#e8b04a", "#d89a3c"),
    "a tiger": ("tiger-face", "#f0a030", "#e88a28"),
    "a panda": ("panda", "#2c2a2e", "#f0eeea"),
    "a koala": ("koala", "#9aa0a8", "#8a8e98"),
    "a rabbit": ("rabbit-face", "#e8e4e0", "#c8b8a8"),
    "a monkey": ("monkey-face", "#8a5a3a", "#a0683c"),
}


def animal(rng: np.random.Generator) -> Scene:
    """An animal sitting in a meadow, before hills or peaks."""
    noun = pick(rng, *ANIMALS)
    key, *coats = ANIMALS[noun]
    coat, light = near(rng, pick(rng, *coats), 0.05), near(rng, pick(rng, "#fbf4ea", "#f4e2c8", "#e8d8c0"), 0.04)
    body = daylight(rng)
    if chance(rng, 0.4):
        body += peaks(rng, 190, pick(rng, "#7a6f8d", "#6a7a90", "#8a7660"), "#f2f6fa", int(rng.integers(2, 5)))
    if chance(rng, 0.6):
        body += hills(rng, rng.uniform(150, 196), near(rng, pick(rng, "#8ab078", "#7a9a78", "#a8b878")), 20)
    for t in rng.uniform(-10, 266, int(rng.integers(0, 4))):
        body += tree(rng, t, rng.uniform(196, 226), rng.uniform(60, 120))
    body += meadow(rng)
    x, base, head = 128 + rng.uniform(-24, 24), rng.uniform(226, 262), rng.uniform(96, 164)
    y, wide, side = base - head * rng.uniform(0.95, 1.15), head * rng.uniform(0.3, 0.42), pick(rng, -1, 1)
    curl = bow(x + side * wide * 0.8, base - head * 0.08, side * wide * 0.9, 0, side * wide * 1.1, -head * 0.45)
    body += stroke(curl, coat, head * rng.uniform(0.1, 0.2))
    trunk = symmetric([(wide * 0.6, y), (wide, y + head * 0.55), (wide * 1.15, base - 4), (wide * 0.5, base + 4)], x)
    body += path(smooth(trunk), coat)
    body += ellipse(x, base - head * 0.24, wide * 0.5, head * 0.3, light)
    for leg in (-1, 1):
        body += ellipse(x + leg * wide * 0.55, base, wide * 0.36, head * 0.08, shade(coat, 0.9))
    return body + any_icon(rng, key, x, y, head, tilt=rng.normal(0, 4)), noun
