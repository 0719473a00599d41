"""Random scenes for the prompts of the course.

A scene takes a NumPy generator and returns (SVG fragment of the whole square, noun phrase).
"""

import math
from collections.abc import Callable

import numpy as np

from .faces import dog, portrait, skull
from .icons import any_icon
from .nature import daylight, dim, hills, house, peaks, studio, tree, veils
from .sights import boat, cottage, hall, landscape, pagoda, skyline, tower
from .styles import LITHOGRAPH, OIL, PHOTO, SKETCH
from .vectors import (
    Scene,
    bow,
    chance,
    ellipse,
    gradient,
    hsv,
    moved,
    near,
    path,
    pick,
    polygon,
    rect,
    shade,
    shadowed,
    sky,
    smooth,
    stroke,
)


def snowy_village(rng: np.random.Generator) -> Scene:
    top, bottom = pick(
        rng, ("#78aadc", "#e2ecf6"), ("#586096", "#f0c4b4"), ("#2c3a6a", "#8a92b8"), ("#a8b4c4", "#e6e6ea")
    )
    ground = rng.uniform(130, 175)
    body = sky(near(rng, top), near(rng, bottom))
    body += peaks(rng, ground + 8, "#6d7f99", "#f7fbff", int(rng.integers(2, 5)))
    body += hills(rng, ground, near(rng, "#eef4fa", 0.04), 10)
    for y in sorted(rng.uniform(ground + 15, 246, rng.integers(3, 8))):
        w = 24 + (y - ground) * 0.28 + rng.uniform(-4, 6)
        body += house(rng, rng.uniform(-8, 230), y, w, near(rng, pick(rng, "#8a4b2d", "#a65f3c", "#6f3d28")), "#fbfdff")
    for _ in range(int(rng.integers(0, 5))):
        body += tree(rng, rng.uniform(0, 256), rng.uniform(ground + 10, 250), rng.uniform(24, 54))
    return body, "a snowy mountain village"


def flame(rng: np.random.Generator, x: float, base: float, w: float, h: float) -> str:
    """A fire with several tongues, w wide and h high, with its foot at `base`; the inner layers are brighter."""
    out = ""
    lean = rng.uniform(-0.15, 0.15) * w
    layers = (("#e8501e", 1.0), ("#ff8c1e", 0.74), ("#ffc640", 0.5), ("#fff0b0", 0.26))
    for colour, share in layers:
        tongues = int(rng.integers(2, 6))
        half, tall = w / 2 * share, h * share
        points = [(x - half * 0.7, base)]
        for k in range(tongues):
            at = (k + 0.5) / tongues * 2 - 1
            peak = tall * (1 - 0.55 * abs(at) ** 1.3) * rng.uniform(0.75, 1.05)
            points.append((x + half * (at - 0.7 / tongues), base - tall * 0.3 * (1 - abs(at)) - tall * 0.12))
            points.append((x + half * at * 0.8 + lean * peak / h, base - peak * 1.08))
            points.append((x + half * at * 0.78 + lean * peak / h, base - peak * 1.08))
        points += [(x + half, base - tall * 0.2), (x + half * 0.7, base), (x, base + h * 0.04)]
        out += path(smooth(points), near(rng, colour, 0.05))
    return out


def sitting(rng: np.random.Generator, x: float, base: float, w: float, toward: float) -> str:
    """A distant person sitting at a fire; the head is w wide. toward: 1 if the fire is to the right, -1 if left."""
    skin = near(rng, pick(rng, "#f0b478", "#d8925a", "#a8683c", "#f4c890"), 0.05)
    hair = pick(rng, "#2c1d14", "#6e4526", "#d0a050", "#1a1718", "#c4beb2", "#8a3b20")
    coat = hsv(rng.random(), rng.uniform(0.2, 0.7), rng.uniform(0.18, 0.5))
    head = base - w * rng.uniform(1.7, 2.3)
    out = path(
        smooth(
            [
                (x - w * 0.9, base),
                (x - w * 0.7, head + w * 0.7),
                (x, head + w * 0.35),
                (x + w * 0.7, head + w * 0.7),
                (x + w * 0.9, base),
                (x, base + w * 0.2),
            ]
        ),
        coat,
    )
    out += stroke(
        bow(x, head + w, toward * w * 0.9, w * 0.5, toward * w * 1.1, -w * 0.05),
        shade(coat, 1.3),
        w * 0.3,
    )
    out += ellipse(x, head, w * 0.5, w * 0.58, skin) + ellipse(
        x + toward * w * 0.2, head + w * 0.06, w * 0.26, w * 0.4, "#ffd9a0", 0.55
    )
    out += path(
        smooth(
            [
                (x - w * 0.56, head),
                (x - w * 0.4, head - w * 0.6),
                (x + w * 0.4, head - w * 0.6),
                (x + w * 0.56, head),
                (x, head - w * 0.3),
            ]
        ),
        hair,
    )
    for side in (0.02, 0.3):
        out += ellipse(x + toward * w * side - w * 0.1 * toward, head + w * 0.06, w * 0.06, w * 0.08, "#241812")
    return out


NIGHTS = (("#10163a", "#3a2a4a"), ("#0a182c", "#2c3a48"), ("#0c0a10", "#2a1c18"), ("#1c1430", "#4a2c3a"))
DUSKS = (("#5a4a6a", "#e8a878"), ("#8a94a8", "#e8dcc8"), ("#c88a6a", "#f6e0b8"), ("#a8b0b8", "#f0ece0"))


def campfire(rng: np.random.Generator) -> Scene:
    """People around a fire of random height and width, at night or dusk, sometimes before a large moon or mist."""
    dark = chance(rng, 0.75)
    top, bottom = pick(rng, *(NIGHTS if dark else DUSKS))
    ground, x = rng.uniform(138, 214), 128 + rng.uniform(-14, 14)
    w, h = rng.uniform(44, 108), rng.uniform(56, 170)
    body = sky(near(rng, top, 0.04), near(rng, bottom, 0.05))
    for star in rng.uniform(0, 1, (int(rng.integers(0, 16)) if dark else 0, 2)):
        body += ellipse(star[0] * 256, star[1] * ground * 0.7, 1.3, 1.3, "#fff8e0", 0.8)
    if chance(rng, 0.25):
        r, pale = rng.uniform(50, 118), near(rng, pick(rng, "#f4ecd8", "#e8e4dc", "#f8dcae"), 0.04)
        haze, fill = gradient("haze", (0, pale, 0.95), (rng.uniform(0.5, 0.96), pale, 0.85), (1, pale, 0), radial=True)
        body += haze + ellipse(x + rng.uniform(-20, 20), ground - rng.uniform(0.2, 0.9) * r, r, r * 1.1, fill)
    for at in rng.uniform(-10, 266, int(rng.integers(0, 7))):
        body += moved(tree(rng, 128, 256, rng.uniform(70, 150)), at - 128, ground - 254)
    if chance(rng, 0.35):
        body += veils(rng, "#e8e0d4", "#d8c8b4", "#0c0a10")  # smoke and night
    earth = pick(rng, "#3a2b22", "#2c3426", "#2a2030") if dark else pick(rng, "#8a7a5a", "#b8a888", "#d8ccb4")
    body += hills(rng, ground, near(rng, earth, 0.04), 6)
    glow, fill = gradient("glow", (0, "#ffb048", 0.75), (0.5, "#ff8020", 0.28), (1, "#ff6010", 0), radial=True)
    body += glow + ellipse(x, ground - h * 0.2, w * 0.7 + 70, h * 0.6 + 60, fill)
    size = rng.uniform(26, 44)
    count = int(rng.integers(1, 4))  # on each side
    people = [(s, k) for k in reversed(range(count)) for s in (-1, 1)]
    for side, k in people:
        at = x + side * (w * 0.45 + size * (0.75 + 0.95 * k) + rng.uniform(-4, 8))
        body += sitting(rng, at, ground + rng.uniform(6, 22), size * rng.uniform(0.9, 1.1), -side)
    foot = ground + rng.uniform(8, 24)
    for tilt in rng.uniform(-24, 24, 3):
        log = rect(128 - w * 0.6, 123, w * 1.2, 10, near(rng, "#5a3a22"))
        body += moved(log, x - 128, foot - 128, tilt=tilt)
    body += flame(rng, x, foot, w, h)
    for _ in range(int(rng.integers(0, 14))):  # sparks
        r = rng.uniform(0.9, 2.0)
        body += ellipse(x + rng.normal(0, 0.5) * w, foot - h * rng.uniform(0.5, 1.4), r, r, "#ffc860", 0.9)
    for side in (-1, 1):
        if chance(rng, 0.35):
            body += sitting(rng, x + side * rng.uniform(0.5, 1.2) * size, rng.uniform(246, 268), size * 1.15, -side)
    return body, "people around a campfire"


def amalfi(rng: np.random.Generator) -> Scene:
    """Coloured houses on a green slope down to the sea."""
    level = rng.uniform(120, 180)
    sea = near(rng, pick(rng, "#2a86c4", "#1f6fae", "#3aa0b8"), 0.06)
    body = sky(near(rng, "#60ace8"), near(rng, "#d6ecfa", 0.05)) + rect(-10, level, 276, 150, sea)
    for _ in range(5):
        body += rect(rng.uniform(0, 240), rng.uniform(level + 4, 250), rng.uniform(20, 60), 2.4, "#a8d8ee", 0.6)
    if chance(rng, 0.6):
        body += path(
            smooth([(120, level + 2), (170, level - 34), (230, level - 50), (290, level - 20), (290, level + 4)]),
            near(rng, "#7a90a8"),
        )
    slope, reach = rng.uniform(0.35, 0.8), rng.uniform(140, 215)
    top = rng.uniform(20, 80)
    flank = [
        (-10.0, top),
        (50.0, top + 16),
        (reach * 0.6, top + 30 + 90 * slope),
        (reach, level + 14),
        (reach + 14, 262),
        (-10, 262),
    ]
    body += path(smooth([*flank, (-30, 262), (-30, top)]), near(rng, pick(rng, "#7d8f5a", "#6a8450", "#8a8a62")))
    size = rng.uniform(18, 28)
    for y in np.arange(top + 46, 262, size * rng.uniform(0.95, 1.25)):
        edge = np.interp(y, [top, level + 10, 256], [40, reach - 16, reach])
        for x in np.arange(-6, edge - size, size * rng.uniform(1.0, 1.3)):
            if chance(rng, 0.86):
                wall = near(rng, pick(rng, "#f6c98b", "#f29b7f", "#fbe6c0", "#e9738a", "#f4ead8", "#e8a860"), 0.05)
                body += house(
                    rng, x + rng.uniform(-3, 3), y + rng.uniform(-4, 4), size * 0.86, wall, near(rng, "#c4573a")
                )
    for _ in range(int(rng.integers(0, 3))):
        x, y, w = rng.uniform(reach + 10, 250), rng.uniform(level + 12, 236), rng.uniform(10, 24)
        body += polygon(
            [(x - w * 0.6, y), (x + w * 0.6, y), (x + w * 0.35, y + w * 0.25), (x - w * 0.35, y + w * 0.25)], "#7a4a30"
        )
        body += polygon([(x, y - 1), (x, y - w * 1.2), (x + w * 0.55, y - 1)], "#fdfdfd")
    return body, "the amalfi coast"


def waterfalls(rng: np.random.Generator) -> Scene:
    """Waterfalls of a few broad or many thin strands over a dark rock face with hollows, into a pool; some in mist."""
    body = sky(near(rng, "#aad0e8", 0.1), near(rng, "#e2f0f6", 0.06))
    brow = rng.uniform(10, 70)
    rock = near(rng, pick(rng, "#4d5a48", "#445042", "#5a544c", "#3a4440", "#6a6258"), 0.05)
    pool = rng.uniform(206, 238)
    body += hills(rng, brow, rock, 14)
    for _ in range(int(rng.integers(6, 16))):  # ledges and hollows of the rock
        x, y, r = rng.uniform(0, 256), rng.uniform(brow + 16, pool), rng.uniform(8, 40)
        body += ellipse(x, y, r, r * rng.uniform(0.5, 1.4), shade(rock, rng.uniform(0.45, 1.3)), 0.8)
    misty = chance(rng, 0.45)
    if misty and chance(rng, 0.5):
        body += rect(-10, -10, 276, 276, pick(rng, rock, "#14181a", "#c8d0d0"))
    for _ in range(int(rng.integers(1, 4)) if chance(rng, 0.7) else int(rng.integers(4, 8))):
        left = rng.uniform(-10, 200)
        w = rng.uniform(24, 150)
        start, end = brow + rng.uniform(-6, 50), pool + rng.uniform(-20, 6)
        if chance(rng, 0.3):
            left, w, start = rng.uniform(0, 50), rng.uniform(150, 240), brow + rng.uniform(-6, 10)
        spread = rng.uniform(0, 0.2)
        veil = rng.uniform(0.25, 0.95)
        body += polygon(
            [(left, start), (left + w, start), (left + w * (1 + spread), end), (left - w * spread, end)],
            "#dff1fb",
            veil,
        )
        thin = rng.uniform(2, 9)
        for x in np.arange(left, left + w, thin * rng.uniform(1.3, 2.4)):
            lean = (x - left - w / 2) / max(w, 1) * 2 * spread * w
            colour = pick(rng, "#9ccbe6", "#ffffff", "#ffffff", "#7fb7da", "#c8e4f4")
            to = end - rng.uniform(0, 24)
            body += stroke(
                bow(x, start + rng.uniform(-3, 10), lean * 0.1, (to - start) * 0.4, lean, to - start),
                colour,
                thin * rng.uniform(0.4, 0.9),
                0.95,
            )
    body += rect(-10, pool, 276, 70, near(rng, "#4f93bb"))
    for _ in range(int(rng.integers(4, 12))):
        body += ellipse(
            rng.uniform(0, 256), pool + rng.uniform(-8, 10), rng.uniform(14, 46), rng.uniform(4, 12), "#f6fcff", 0.75
        )
    for _ in range(int(rng.integers(0, 6))):
        body += tree(
            rng, pick(rng, rng.uniform(-6, 50), rng.uniform(206, 262)), brow + rng.uniform(-4, 40), rng.uniform(30, 70)
        )
    if misty:
        body += veils(rng, "#0c1014", "#101820", "#f4f8fa")
    return body, "waterfalls"


def skulls(rng: np.random.Generator) -> Scene:
    """A skull on a light or dark ground; the largest exceed the square."""
    ground = pick(rng, rect(-10, -10, 276, 276, "#f8f4ea"), dim(rng), studio(rng))
    w = rng.uniform(90, 190)
    return ground + skull(rng, 128 + rng.uniform(-14, 14), 128 + rng.uniform(-14, 14), w), "a skull"


def old_man(rng: np.random.Generator) -> Scene:
    """An old man in the dark, usually bearded and often lit from below by a fire."""
    w = rng.uniform(72, 122)
    body = dim(rng)
    lit = chance(rng, 0.6)
    if lit and chance(rng, 0.5):
        glow, fill = gradient("glow", (0, "#ff9838", 0.6), (1, "#ff6010", 0), radial=True)
        body += glow + ellipse(128, 250, 130, 110, fill)
    coat = near(rng, pick(rng, "#2a1e1a", "#1e222c", "#3a2a20", "#24301f", "#4a2c24"), 0.06)
    face = portrait(
        rng,
        128 + rng.uniform(-12, 12),
        104 + rng.uniform(-20, 20),
        w,
        old=True,
        beard=chance(rng, 0.85),
        lit=lit,
        coat=coat,
    )
    return body + face, "an old man"


def young_man(rng: np.random.Generator) -> Scene:
    return studio(rng) + portrait(
        rng, 128 + rng.uniform(-12, 12), 116 + rng.uniform(-12, 12), rng.uniform(88, 128)
    ), "a man"


def cup(rng: np.random.Generator, x: float, y: float, w: float) -> str:
    """A cup of coffee with steam, w wide, with its rim at y."""
    china = near(rng, pick(rng, "#fbf8f2", "#d8e4ea", "#e8d0b8", "#c8503c", "#3c5a6a"), 0.04)
    h = w * rng.uniform(0.6, 0.9)
    out = stroke(bow(x + w * 0.45, y + h * 0.2, w * 0.4, h * 0.05, 0, h * 0.5), china, w * 0.1)
    out += polygon([(x - w / 2, y), (x + w / 2, y), (x + w * 0.36, y + h), (x - w * 0.36, y + h)], china)
    out += ellipse(x, y, w / 2, w * 0.11, shade(china, 0.9)) + ellipse(x, y, w * 0.42, w * 0.08, "#4a2c18")
    for dx in (-0.15, 0.12):
        out += stroke(
            bow(x + dx * w, y - w * 0.15, w * 0.14, -w * 0.16, 0, -w * 0.3) + f"t0 {-w * 0.25:.1f}",
            "#ffffff",
            w * 0.06,
            0.6,
        )
    return out


def indoors(rng: np.random.Generator) -> str:
    """The wall of a café, sometimes with shelves."""
    top, bottom = pick(
        rng,
        ("#785238", "#b0805c"),
        ("#465c5a", "#80968e"),
        ("#5a4438", "#a08a74"),
        ("#8a8478", "#c8bea8"),
        ("#3a3430", "#6a5a4c"),
    )
    body = sky(near(rng, top), near(rng, bottom))
    for y in (36, 92):
        if chance(rng, 0.4):
            body += rect(-10, y, 276, 6, shade(top, 0.6))
            for x in range(4, 256, 26):
                body += rect(x, y - rng.uniform(14, 26), rng.uniform(10, 18), 26, hsv(rng.random(), 0.4, 0.7), 0.7)
    return body


def barista(rng: np.random.Generator) -> Scene:
    """A bearded man, sometimes with a beanie, glasses or a cup."""
    body = indoors(rng)
    w, y = rng.uniform(84, 132), 118 + rng.uniform(-20, 20)
    body += portrait(
        rng,
        128 + rng.uniform(-14, 14),
        y,
        w,
        beard=True,
        hat=pick(rng, "", "", "beanie"),
        glasses=chance(rng, 0.35),
        coat=near(rng, pick(rng, "#3c3a38", "#5a4030", "#384a44", "#e8e2d8", "#8a4a34"), 0.06),
    )
    if chance(rng, 0.75):
        body += cup(
            rng, pick(rng, rng.uniform(34, 70), rng.uniform(186, 222)), rng.uniform(176, 206), rng.uniform(34, 60)
        )
    if chance(rng, 0.3):
        body += rect(-10, 236, 276, 30, near(rng, "#3a2a20"))
    return body, "a hipster barista"


def dogs(rng: np.random.Generator) -> Scene:
    backdrop = pick(rng, studio, studio, daylight, indoors)(rng)
    if chance(rng, 0.3):
        backdrop += hills(rng, 170, near(rng, pick(rng, "#6fae4a", "#8aa860", "#c8b88a")), 8)
    return backdrop + dog(rng, 128 + rng.uniform(-12, 12), 120 + rng.uniform(-20, 20), rng.uniform(96, 150)), "a dog"


def hatted_man(rng: np.random.Generator) -> Scene:
    w = rng.uniform(82, 116)
    body = portrait(
        rng, 128 + rng.uniform(-10, 10), 148 + rng.uniform(-10, 10), w, hat=pick(rng, "top", "top", "fedora")
    )
    return studio(rng) + body, "a man wearing a hat"


def rocket_ship(rng: np.random.Generator) -> Scene:
    body = sky(
        *pick(rng, ("#0a0e2c", "#2c2860"), ("#1e3c78", "#82aadc"), ("#101018", "#30304a"), ("#5a96dc", "#d8e8f6"))
    )
    for x, y in rng.uniform(0, 256, (int(rng.integers(4, 20)), 2)):
        body += ellipse(x, y, 2.2, 2.2, "#fff")
    if chance(rng, 0.4):
        r = rng.uniform(16, 34)
        body += ellipse(rng.uniform(20, 236), rng.uniform(20, 236), r, r, hsv(rng.random(), 0.4, 0.8))
    if chance(rng, 0.55):
        return body + moved(
            _rocket(rng), rng.uniform(-12, 12), rng.uniform(-10, 10), rng.uniform(0.9, 1.2), rng.uniform(-5, 50)
        ), "a rocket ship"
    return body + any_icon(
        rng, "rocket", 128 + rng.uniform(-10, 10), 128 + rng.uniform(-10, 10), rng.uniform(180, 226)
    ), "a rocket ship"


def _rocket(rng: np.random.Generator) -> str:
    hull = near(rng, pick(rng, "#e8eaf0", "#d8dce4", "#f4efe4"), 0.04)
    red = hsv(pick(rng, 0.0, 0.02, 0.6, 0.08), 0.8, 0.85)
    w = rng.uniform(26, 40)
    fire = flame(rng, 128, 0, w * 1.3, rng.uniform(40, 70))
    out = f'<g transform="translate(0 {196}) scale(1 -1)">{fire}</g>'
    for side in (-1, 1):
        out += polygon([(128 + side * w * 0.8, 130), (128 + side * w * 1.9, 190), (128 + side * w * 0.6, 186)], red)
    out += path(
        smooth(
            [
                (128, 4),
                (128 + w * 0.8, 50),
                (128 + w * 1.05, 120),
                (128 + w * 0.7, 196),
                (128 - w * 0.7, 196),
                (128 - w * 1.05, 120),
                (128 - w * 0.8, 50),
            ]
        ),
        hull,
    )
    out += path(
        smooth([(128, 2), (128 + w * 0.6, 44), (128 + w * 0.5, 62), (128 - w * 0.5, 62), (128 - w * 0.6, 44)]), red
    )
    r = w * rng.uniform(0.35, 0.5)
    return out + ellipse(128, 100, r + 4, r + 4, shade(hull, 0.6)) + ellipse(128, 100, r, r, "#6ab0e0")


def pencil(rng: np.random.Generator) -> Scene:
    """A pencil across the square."""
    wood = hsv(pick(rng, 0.13, 0.13, 0.1, 0.0, 0.35, 0.6), 0.8, 0.95)
    w, length = rng.uniform(26, 44), rng.uniform(180, 230)
    left = 128 - length / 2
    tip = left + w * rng.uniform(1.1, 1.6)
    body = rect(tip, 128 - w / 2, length * 0.78 - (tip - left), w, wood)
    body += rect(tip, 128 - w / 6, length * 0.78 - (tip - left), w / 3, shade(wood, 1.15))
    body += rect(tip, 128 + w / 6, length * 0.78 - (tip - left), w / 3, shade(wood, 0.8))
    body += polygon([(left, 128), (tip, 128 - w / 2), (tip, 128 + w / 2)], "#f0d0a0")
    body += polygon(
        [(left, 128), (left + (tip - left) * 0.38, 128 - w * 0.19), (left + (tip - left) * 0.38, 128 + w * 0.19)],
        "#2c2a2c",
    )
    end = left + length * 0.78
    body += rect(end, 128 - w / 2, length * 0.08, w, "#b8bcc4") + rect(
        end + length * 0.08, 128 - w / 2, length * 0.12, w, "#f08a98"
    )
    ground = rect(-10, -10, 276, 276, "#f8f8f8") if chance(rng, 0.6) else studio(rng)
    turn = pick(rng, -45, -45, 135, 45) + rng.uniform(-14, 14)
    return ground + shadowed(
        moved(body, rng.uniform(-10, 10), rng.uniform(-10, 10), rng.uniform(0.9, 1.1), turn)
    ), "a pencil"


def sheep(rng: np.random.Generator, x: float, y: float, w: float) -> str:
    """A sheep of pale wool with a dark head and dark legs, w wide, that looks to the left; y: its middle."""
    wool, dark = near(rng, "#fffaf0", 0.02), near(rng, "#2c2a34", 0.03)
    out = "".join(rect(x + w * at, y + w * 0.1, w * 0.09, w * 0.36, dark) for at in (-0.24, -0.06, 0.1, 0.26))
    puffs = int(rng.integers(8, 11))
    for k in range(puffs):
        turn = 2 * math.pi * k / puffs
        out += ellipse(x + w * (0.08 + 0.3 * math.cos(turn)), y + w * 0.19 * math.sin(turn), w * 0.15, w * 0.14, wool)
    out += ellipse(x + w * 0.08, y, w * 0.34, w * 0.24, wool)
    hx, hy = x - w * 0.32, y - w * rng.uniform(0.04, 0.14)
    for side in (-1, 1):
        out += ellipse(hx + side * w * 0.14, hy - w * 0.07, w * 0.08, w * 0.04, dark)
    out += ellipse(hx, hy, w * 0.12, w * 0.16, dark) + ellipse(hx + w * 0.02, hy - w * 0.15, w * 0.12, w * 0.07, wool)
    for side in (-1, 1):
        out += ellipse(hx + side * w * 0.05, hy - w * 0.02, w * 0.035, w * 0.04, "#ffffff")
    return out


def electric_sheep(rng: np.random.Generator) -> Scene:
    """An android below, with a sheep in its dream bubble, and on the sheep, or above it, a flash."""
    hue = rng.uniform(0.6, 0.8)
    body = sky(hsv(hue, 0.65, rng.uniform(0.2, 0.4)), hsv(hue + 0.04, 0.5, rng.uniform(0.45, 0.7)))
    body += any_icon(rng, "robot", rng.uniform(62, 78), rng.uniform(182, 194), rng.uniform(108, 132))
    cx, cy, r = rng.uniform(158, 170), rng.uniform(74, 84), rng.uniform(60, 68)
    air = near(rng, pick(rng, "#8cc4f0", "#a8d8c8", "#9ab8f0"), 0.04)  # wool would not show on white
    body += ellipse(cx, cy, r * 1.22, r, air)
    for at, size in ((0.9, 10), (1.12, 6)):
        body += ellipse(cx - r * at * 0.72, cy + r * at * 1.02, size, size, air)
    side = pick(rng, 0.08, 0.3)
    body += sheep(rng, cx, cy + r * 0.1, r * rng.uniform(1.4, 1.7))
    bolt = ((0.06, -0.5), (-0.16, 0.08), (0.0, 0.08), (-0.08, 0.5), (0.18, -0.12), (0.02, -0.12), (0.16, -0.5))
    lift = pick(rng, 0.1, -0.52)
    body += polygon([(cx + r * (side + 0.8 * dx), cy + r * (lift + 0.8 * dy)) for dx, dy in bolt], "#ffd21e")
    return moved(body, mirror=chance(rng, 0.3)), "an android dreaming of electric sheep"


def holy_grail(rng: np.random.Generator) -> Scene:
    """A man in a fedora and a glowing golden cup."""
    top, bottom = pick(rng, ("#604628", "#a8824e"), ("#463c32", "#8c7054"), ("#3a2c24", "#6a4a34"))
    body = sky(near(rng, top, 0.05), near(rng, bottom, 0.06))
    body += portrait(
        rng,
        88 + rng.uniform(-8, 8),
        132 + rng.uniform(-8, 8),
        rng.uniform(76, 94),
        hat="fedora",
        beard=chance(rng, 0.4),
        coat=near(rng, "#6a4a30"),
    )
    x, y, r = rng.uniform(184, 204), rng.uniform(108, 140), rng.uniform(50, 66)
    glow, fill = gradient("halo", (0, "#fff2b8", 0.95), (1, "#ffe08a", 0), radial=True)
    body += glow + ellipse(x, y, r * 1.25, r * 1.25, fill)
    if chance(rng, 0.6):
        gold = near(rng, "#e8b83a", 0.05)
        w, h = r * 0.62, r * 1.5
        half = [(w, y - h / 2), (w * 0.85, y - h * 0.2), (w * 0.16, y), (w * 0.12, y + h * 0.3), (w * 0.7, y + h / 2)]
        body += polygon([(x + dx, yy) for dx, yy in half] + [(x - dx, yy) for dx, yy in reversed(half)], gold)
        body += ellipse(x, y - h / 2, w, w * 0.2, shade(gold, 1.2)) + ellipse(
            x + w * 0.3, y - h * 0.3, w * 0.1, h * 0.12, "#fff6d0", 0.8
        )
    else:
        body += any_icon(rng, "trophy", x, y, r * 1.7)
    return moved(body, mirror=chance(rng, 0.3)), pick(
        rng, "Dr.Jones holding the holy grail", "a man holding the holy grail"
    )


def mobius(rng: np.random.Generator) -> Scene:
    """A Möbius strip seen from above, with its quads painted from back to front."""
    turn, tilt = rng.uniform(0, 2 * math.pi), rng.uniform(0.4, 0.7)
    radius, width = rng.uniform(74, 92), rng.uniform(26, 40)
    front, back = hsv(hue := rng.random(), 0.7, 0.9), hsv(hue + pick(rng, 0.0, 0.5, 0.1), 0.6, 0.8)

    def point(u: float, v: float) -> tuple[float, float, float]:
        r = radius + width * v * math.cos(u / 2 + turn)
        x, y, z = r * math.cos(u), r * math.sin(u), width * v * math.sin(u / 2 + turn)
        return x, y * tilt - z * 0.9, y + z * 0.4

    quads = []
    for k in range(72):
        u, after = 2 * math.pi * k / 72, 2 * math.pi * (k + 1.3) / 72
        corners = [point(u, -1), point(u, 1), point(after, 1), point(after, -1)]
        fill = shade(front if math.cos(u / 2 + turn) > 0 else back, 0.45 + 0.6 * abs(math.cos(u / 2 + turn)))
        quads.append((sum(c[2] for c in corners), polygon([(128 + c[0], 128 + c[1]) for c in corners], fill)))
    band = moved("".join(quad for _, quad in sorted(quads)), tilt=rng.uniform(-25, 25))
    ground = studio(rng) if chance(rng, 0.6) else rect(-10, -10, 276, 276, "#f8f8f8")
    return ground + shadowed(band), "a mobius strip"


# For each scene: its weight, and its styles; the course's own style is listed more than once.
SCENES: dict[Callable[[np.random.Generator], Scene], tuple[float, tuple[str, ...]]] = {
    old_man: (3.0, (OIL, OIL, OIL, PHOTO, SKETCH)),
    campfire: (3.5, (OIL, OIL, OIL, LITHOGRAPH, PHOTO)),
    barista: (2.5, (PHOTO, PHOTO, PHOTO, OIL)),
    dogs: (3.0, (PHOTO, PHOTO, PHOTO, OIL, "")),
    skulls: (2.5, (LITHOGRAPH, LITHOGRAPH, LITHOGRAPH, "", PHOTO)),
    waterfalls: (3.0, (LITHOGRAPH, LITHOGRAPH, PHOTO)),
    amalfi: (2.5, (PHOTO, PHOTO, OIL)),
    snowy_village: (2.5, (OIL, OIL, PHOTO)),
    young_man: (1.8, (PHOTO, PHOTO, OIL)),
    hatted_man: (1.8, ("", "", PHOTO)),
    rocket_ship: (2.0, ("", "", PHOTO)),
    pencil: (2.0, ("", "", PHOTO)),
    electric_sheep: (3.0, ("",)),
    holy_grail: (1.5, ("",)),
    mobius: (1.5, ("",)),
    tower: (3.5, (PHOTO, PHOTO, OIL, "")),
    hall: (1.8, (PHOTO, PHOTO, OIL)),
    pagoda: (3.0, (PHOTO, PHOTO, OIL)),
    skyline: (1.5, (PHOTO, PHOTO, OIL)),
    landscape: (2.5, (PHOTO, PHOTO, OIL)),
    cottage: (1.5, (PHOTO, PHOTO, "", SKETCH)),
    boat: (2.0, (PHOTO, PHOTO, "", SKETCH)),
}
# Whole views, whose photos are "a high quality photo"; portraits and single things are not.
VIEWS = (snowy_village, amalfi, waterfalls, tower, hall, pagoda, skyline, landscape, cottage, boat)
