"""Randomly drawn parts of scenes: skies, backdrops, trees, hills, peaks and houses."""

import numpy as np

from .vectors import chance, ellipse, gradient, hsv, near, path, pick, polygon, rect, shade, sky, smooth


def daylight(rng: np.random.Generator) -> str:
    """A clear, dusk or cloudy sky."""
    top, bottom = pick(
        rng, ("#5a96dc", "#d8e8f6"), ("#2f74c8", "#9cc8f0"), ("#e2966e", "#fadcb4"), ("#96a0b0", "#dee2e8"),
        ("#5e7ab8", "#d8cfe0"), ("#78aadc", "#e2ecf6"),
    )  # fmt: skip
    out = sky(near(rng, top), near(rng, bottom))
    for _ in range(int(rng.integers(0, 4))):
        out += cloud(rng, rng.uniform(0, 256), rng.uniform(10, 110), rng.uniform(24, 64))
    return out


def cloud(rng: np.random.Generator, x: float, y: float, w: float) -> str:
    white = pick(rng, "#ffffff", "#f4f0ea", "#e8ecf2")
    puffs = "".join(
        ellipse(x + dx * w, y - abs(rng.normal(0, 0.08)) * w, w * 0.26, w * rng.uniform(0.16, 0.24), white, 0.9)
        for dx in (-0.3, -0.05, 0.22)
    )
    return puffs + rect(x - w * 0.52, y, w, w * 0.17, white, 0.9)


def studio(rng: np.random.Generator) -> str:
    """A soft backdrop of two similar colours."""
    hue, saturation, value = rng.random(), rng.uniform(0.05, 0.55), rng.uniform(0.3, 0.95)
    top = hsv(hue, saturation, value)
    bottom = hsv(hue + rng.uniform(-0.08, 0.08), saturation * rng.uniform(0.4, 1.1), value * rng.uniform(0.75, 1.3))
    return sky(top, bottom)


def dim(rng: np.random.Generator) -> str:
    """The dark, warm backdrop of an old portrait."""
    top, bottom = pick(
        rng, ("#1c1410", "#4e3826"), ("#20262c", "#4a5048"), ("#2a1a1e", "#5a3a30"), ("#120e0e", "#2c2018")
    )
    return sky(near(rng, top, 0.04), near(rng, bottom, 0.06))


def veils(rng: np.random.Generator, *colours: str) -> str:
    """Large soft patches over a scene, of mist, smoke or deep shadow, each in one of `colours`.

    They make light and dark at large scale independent of the details, as in a hybrid image, which has the large scale
    of one subject and the details of another.
    """
    out = ""
    for k in range(int(rng.integers(2, 7))):
        colour, strength = near(rng, pick(rng, *colours), 0.04), rng.uniform(0.3, 0.8)
        stops = ((0, colour, strength), (rng.uniform(0.3, 0.8), colour, strength * 0.8), (1, colour, 0))
        definition, fill = gradient(f"veil{k}", *stops, radial=True)
        rx, ry = rng.uniform(24, 110, 2)
        out += definition + ellipse(rng.uniform(0, 256), rng.uniform(0, 256), rx, ry, fill)
    return out


def tree(rng: np.random.Generator, x: float, base: float, height: float) -> str:
    """A conifer or a broadleaf tree whose base is at y = `base`."""
    green = near(rng, pick(rng, "#2f5536", "#3f6b3a", "#587f45", "#27463a", "#6a8f3c"), 0.06)
    if chance(rng, 0.5):
        out = rect(x - height * 0.04, base - height * 0.2, height * 0.08, height * 0.2, "#5a3f28")
        for k in range(3):
            low, wide = base - height * (0.14 + 0.26 * k), height * (0.3 - 0.07 * k)
            out += polygon([(x - wide, low), (x, low - height * 0.42), (x + wide, low)], shade(green, 1 + 0.1 * k))
        return out
    out = rect(x - height * 0.05, base - height * 0.45, height * 0.1, height * 0.45, "#6a4a2e")
    for dx, dy in ((-0.16, 0.55), (0.16, 0.58), (0, 0.75)):
        out += ellipse(
            x + dx * height, base - dy * height, height * 0.24, height * 0.24, shade(green, rng.uniform(0.9, 1.1))
        )
    return out


def hills(rng: np.random.Generator, base: float, colour: str, height: float) -> str:
    """Rolling hills with their edge near y = `base`, filled to the bottom of the square."""
    points = [(-20.0, base)] + [(x, base - rng.uniform(-0.3, 1) * height) for x in range(10, 256, 48)] + [(276.0, base)]
    return path(smooth([*points, (290, 300), (-34, 300)]), colour)


def house(rng: np.random.Generator, x: float, y: float, w: float, wall: str, roof: str) -> str:
    """A small gabled house whose base is at y."""
    h = w * rng.uniform(0.65, 0.95)
    glass = pick(rng, "#ffd76a", "#4a5868", "#ffe9a8")
    windows = "".join(rect(x + w * f, y - h * 0.6, w * 0.2, h * 0.28, glass) for f in (0.18, 0.62))
    gable = polygon([(x - w * 0.12, y - h), (x + w / 2, y - h * rng.uniform(1.55, 1.9)), (x + w * 1.12, y - h)], roof)
    door = rect(x + w * 0.42, y - h * 0.42, w * 0.16, h * 0.42, shade(wall, 0.5)) if chance(rng, 0.4) else ""
    return rect(x, y - h, w, h, wall) + windows + door + gable


def peaks(rng: np.random.Generator, base: float, rock: str, snow: str, count: int) -> str:
    out = ""
    for k in range(count):
        x, half = (k + 0.5) * 256 / count + rng.uniform(-30, 30), rng.uniform(46, 100)
        top = base - rng.uniform(60, 140)
        out += polygon([(x - half, base), (x, top), (x + half, base)], near(rng, rock, 0.04))
        out += polygon([(x, top), (x + half, base), (x + half * 0.1, base)], "#000000", 0.12)
        cap = rng.uniform(0.25, 0.5)
        edge = [(-cap, cap), (0.0, 0.0), (cap, cap), (cap * 0.3, cap * 0.8), (-cap * 0.3, cap * 0.9)]
        out += polygon([(x + half * across, top + (base - top) * down) for across, down in edge], snow)
    return out


def meadow(rng: np.random.Generator) -> str:
    """Grass below about y = 200, with random bushes and sometimes a path."""
    green = near(rng, pick(rng, "#5a8f4a", "#6fae4a", "#4a7a3c", "#86a860"))
    out = hills(rng, rng.uniform(206, 228), green, 8)
    for x in rng.uniform(-10, 266, int(rng.integers(0, 7))):
        r = rng.uniform(10, 26)
        out += ellipse(x, rng.uniform(206, 236), r * 1.2, r, shade(green, rng.uniform(0.6, 0.95)))
    if chance(rng, 0.4):
        x = rng.uniform(90, 166)
        out += polygon([(x - 12, 226), (x + 12, 226), (x + 46, 266), (x - 46, 266)], near(rng, "#e0cfa8"))
    return out
