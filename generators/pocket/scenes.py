"""Scenes for the prompts of the course, composed of icons and simple shapes. Each call draws another variant.

A scene takes a NumPy generator and gives (SVG fragment of the whole square, noun phrase).
"""

import math

import numpy as np

from .icons import ellipse, icon, polygon, rect, shadowed, sky

Scene = tuple[str, str]
EMOJI = "fluent-emoji"


def pick(rng: np.random.Generator, *choices):
    return choices[rng.integers(len(choices))]


def studio(rng: np.random.Generator) -> str:
    """A soft two-colour backdrop."""
    return sky(
        *pick(
            rng,
            ("#96c4ec", "#e4f0f8"),
            ("#ecd6b4", "#faf0e0"),
            ("#78a078", "#cee0be"),
            ("#465078", "#969ec4"),
            ("#d0b4cc", "#f0e4ee"),
            ("#3c424c", "#848a94"),
        )
    )


def _house(x: float, y: float, w: float, wall: str, roof: str) -> str:
    """A small gabled house whose base is at y."""
    h = w * 0.75
    windows = "".join(rect(x + w * f, y - h * 0.6, w * 0.2, h * 0.28, "#ffd76a") for f in (0.18, 0.62))
    gable = polygon([(x - w * 0.12, y - h), (x + w / 2, y - h * 1.75), (x + w * 1.12, y - h)], roof)
    return rect(x, y - h, w, h, wall) + windows + gable


def _peaks(rng: np.random.Generator, base: float, rock: str, snow: str, count: int = 3) -> str:
    out = ""
    for k in range(count):
        x, half = (k + 0.5) * 256 / count + rng.uniform(-20, 20), rng.uniform(60, 90)
        top = base - rng.uniform(80, 130)
        out += polygon([(x - half, base), (x, top), (x + half, base)], rock)
        edge = [(-0.42, 0.42), (0.0, 0.0), (0.42, 0.42), (0.14, 0.32), (-0.12, 0.36)]  # in half widths and heights
        out += polygon([(x + half * across, top + (base - top) * down) for across, down in edge], snow)
    return out


def snowy_village(rng: np.random.Generator) -> Scene:
    body = sky(*pick(rng, ("#78aadc", "#e2ecf6"), ("#586096", "#f0c4b4")))
    body += _peaks(rng, 170, "#6d7f99", "#f7fbff") + rect(0, 165, 256, 91, "#eef4fa")
    for k in range(4):
        w, x, y = rng.uniform(36, 46), 12 + k * 60 + rng.uniform(-5, 5), rng.uniform(195, 232)
        body += _house(x, y, w, pick(rng, "#8a4b2d", "#a65f3c", "#6f3d28"), "#ffffff")
    return body, "a snowy mountain village"


def campfire(rng: np.random.Generator) -> Scene:
    """People left and right of a fire at night; the upper half is sky."""
    body = sky(*pick(rng, ("#10163a", "#46325a"), ("#0a182c", "#324254")))
    body += rect(0, 196, 256, 60, pick(rng, "#3a2b22", "#2c3426")) + ellipse(128, 172, 84, 76, "#ff9a2e", 0.3)
    who = ["person", "woman", "man", "boy", "girl", "old-man", "man-beard", "woman-curly-hair"]
    places = [(2, 108), (168, 108), (36, 156), (142, 156)][: pick(rng, 2, 4)]
    for k, (x, y) in enumerate(places[:2]):
        body += icon(pick(rng, *who), EMOJI, x, y, 86, mirror=bool(k % 2))
    body += icon("fire", EMOJI, 82, 104, 92)
    for k, (x, y) in enumerate(places[2:]):
        body += icon(pick(rng, *who), EMOJI, x, y, 78, mirror=bool(k % 2))
    return body, "people around a campfire"


def amalfi(rng: np.random.Generator) -> Scene:
    """Coloured houses down a green flank to the sea."""
    body = rect(0, 150, 256, 106, "#2a86c4") + rect(0, 150, 256, 10, "#5cb3e0")
    body += polygon([(0, 40), (70, 60), (120, 110), (176, 170), (200, 256), (0, 256)], "#7d8f5a")
    for row, y in enumerate((118, 150, 182, 214, 246)):
        for x in np.arange(2, 44 + 30 * row, 30):
            wall = pick(rng, "#f6c98b", "#f29b7f", "#fbe6c0", "#e9738a")
            body += _house(x + rng.uniform(-3, 3), y + rng.uniform(-4, 4), 24, wall, "#c4573a")
    if rng.integers(2):
        body += icon("sailboat", EMOJI, 194, 164, 50)
    mirror = '<g transform="translate(256 0) scale(-1 1)">' if rng.integers(2) else "<g>"
    return sky("#60ace8", "#d6ecfa") + mirror + body + "</g>", "the amalfi coast"


def waterfalls(rng: np.random.Generator) -> Scene:
    body = sky("#aad0e8", "#e2f0f6")
    left, right = rng.uniform(60, 96), rng.uniform(160, 196)
    body += polygon([(0, 30), (left, 54), (left, 256), (0, 256)], "#4d5a48")
    body += polygon([(256, 24), (right, 54), (right, 256), (256, 256)], "#445042")
    body += rect(left, 52, right - left, 170, "#dff1fb")
    for x in np.linspace(left + 4, right - 8, 7):
        body += rect(x + rng.uniform(-3, 3), 52, rng.uniform(4, 7), 168, pick(rng, "#9ccbe6", "#7fb7da", "#ffffff"))
    body += rect(0, 218, 256, 38, "#4f93bb") + ellipse((left + right) / 2, 220, (right - left) * 0.66, 14, "#f6fcff")
    for x in (-20, left - 44, right - 16, 216):
        body += icon("evergreen-tree", EMOJI, x + rng.uniform(-6, 6), rng.uniform(-6, 20), 60)
    return body, "waterfalls"


def barista(rng: np.random.Generator) -> Scene:
    body = sky(*pick(rng, ("#785238", "#b0805c"), ("#465c5a", "#80968e")))
    body += icon(pick(rng, "man-beard", "person-beard"), EMOJI, 22, 2, 212)
    body += rect(0, 212, 256, 44, "#5a3823") + icon("hot-beverage", EMOJI, pick(rng, 6, 154), 150, 92)
    return body, "a hipster barista"


def hatted_man(rng: np.random.Generator) -> Scene:
    body = icon(pick(rng, "man", "man-beard", "old-man", "man-red-hair"), EMOJI, 24, 48, 208)
    return studio(rng) + body + icon("top-hat", EMOJI, 62, -8, 132), "a man wearing a hat"


def rocket_ship(rng: np.random.Generator) -> Scene:
    body = sky(*pick(rng, ("#0a0e2c", "#2c2860"), ("#1e3c78", "#82aadc")))
    body += "".join(ellipse(x, y, 2.5, 2.5, "#fff") for x, y in rng.uniform(0, 256, (14, 2)))
    return body + icon("rocket", EMOJI, 20, 20, 216), "a rocket ship"


def electric_sheep(rng: np.random.Generator) -> Scene:
    body = sky("#281854", "#604696") + icon("robot", EMOJI, 4, 84, 168)
    body += ellipse(188, 66, 66, 50, "#fff", 0.9) + ellipse(140, 122, 9, 9, "#fff")
    body += icon("ewe", EMOJI, 142, 22, 88) + icon("high-voltage", EMOJI, pick(rng, 216, 128), 8, 34)
    return body, "an android dreaming of electric sheep"


def holy_grail(rng: np.random.Generator) -> Scene:
    body = sky(*pick(rng, ("#604628", "#a8824e"), ("#463c32", "#8c7054")))
    body += icon(pick(rng, "man", "man-beard"), EMOJI, -8, 52, 190) + ellipse(87, 82, 88, 15, "#5b3a1e")
    body += '<path d="M38 80Q42 26 66 30L87 38L108 30Q132 26 136 80Z" fill="#6e4726"/>'
    body += '<path d="M38 80q49 12 98 0v-12q-49 12 -98 0z" fill="#2f1d0e"/>'
    body += ellipse(196, 120, 58, 58, "#ffe9a0", 0.45) + icon("trophy", EMOJI, 142, 66, 108)
    return body, pick(rng, "Dr.Jones holding the holy grail", "a man holding the holy grail")


def mobius(rng: np.random.Generator) -> Scene:
    """A Möbius band seen from above the rim, its quads painted from back to front."""
    turn, (red, green, blue) = pick(rng, 0.4, 2.0), pick(rng, (240, 150, 40), (60, 150, 220), (200, 70, 110))

    def point(u: float, v: float) -> tuple[float, float, float]:
        r = 84 + 38 * v * math.cos(u / 2 + turn)
        x, y, z = r * math.cos(u), r * math.sin(u), 38 * v * math.sin(u / 2 + turn)
        return x, y * 0.55 - z * 0.9, y + z * 0.4

    quads = []
    for k in range(96):
        u, after = 2 * math.pi * k / 96, 2 * math.pi * (k + 1.3) / 96
        corners = [point(u, -1), point(u, 1), point(after, 1), point(after, -1)]
        lit = 0.45 + 0.6 * abs(math.cos(u / 2 + turn))
        fill = f"rgb({min(red * lit, 255):.0f},{min(green * lit, 255):.0f},{min(blue * lit, 255):.0f})"
        quads.append((sum(c[2] for c in corners), polygon([(128 + c[0], 128 + c[1]) for c in corners], fill)))
    return studio(rng) + shadowed("".join(quad for _, quad in sorted(quads))), "a mobius strip"


def tower(rng: np.random.Generator) -> Scene:
    body = sky(*pick(rng, ("#5a96dc", "#d8e8f6"), ("#e2966e", "#fadcb4"), ("#96a0b0", "#dee2e8")))
    x, w, top = rng.uniform(80, 170), rng.uniform(34, 60), rng.uniform(40, 90)
    wall, roof = pick(rng, "#d8d2c4", "#c9b79c", "#b9b4ae"), pick(rng, "#8d8a86", "#9a5a44", "#5f7d78")
    body += rect(x - w / 2, top, w, 256 - top, wall) + rect(x + w / 4, top, w / 4, 256 - top, "#00000022")
    body += polygon([(x - w * 0.6, top), (x, top - rng.uniform(30, 56)), (x + w * 0.6, top)], roof)
    for level in np.arange(top + 14, 220, rng.uniform(26, 44)):
        body += rect(x - w * 0.22, level, w * 0.14, 16, "#4a4f58") + rect(x + w * 0.08, level, w * 0.14, 16, "#4a4f58")
    for t in rng.uniform(-10, 250, 7):
        green = pick(rng, "#3f6b3a", "#587f45", "#2f5536")
        body += ellipse(t, rng.uniform(214, 246), rng.uniform(16, 30), rng.uniform(16, 30), green)
    return body + rect(0, 244, 256, 12, "#5a7f4a"), pick(rng, "a tower", "a bell tower")


def skyline(rng: np.random.Generator) -> Scene:
    body = sky(*pick(rng, ("#5a96dc", "#d8e8f6"), ("#28285a", "#c8786e"), ("#96aabe", "#e6e8ec")))
    for x in range(0, 256, 32):
        h, w = rng.uniform(60, 190), rng.uniform(26, 40)
        body += rect(x, 256 - h, w, h, pick(rng, "#7e8794", "#b0a79a", "#5c6675", "#c7a98a"))
        for y in np.arange(256 - h + 12, 244, 20):
            body += rect(x + 6, y, 6, 9, "#f5e3a2") + rect(x + 18, y, 6, 9, "#33404f")
    return body, "a city"


def landscape(rng: np.random.Generator) -> Scene:
    body = sky(*pick(rng, ("#5a96dc", "#d8e8f6"), ("#e28264", "#fadcaa"), ("#3c5a96", "#bed2e6")))
    if rng.integers(2):
        body += icon("sun", EMOJI, rng.uniform(10, 190), rng.uniform(6, 60), 54)
    body += _peaks(
        rng, 190, pick(rng, "#5f7f6a", "#7a6f8d", "#8a7660"), pick(rng, "#f2f6fa", "#a9bfae"), pick(rng, 2, 3)
    )
    body += rect(0, 180, 256, 76, pick(rng, "#6fa050", "#3d87b8", "#c9b26b", "#86a860"))
    for x in rng.uniform(-10, 220, rng.integers(1, 5)):
        tree = pick(rng, "evergreen-tree", "deciduous-tree")
        body += icon(tree, EMOJI, x, rng.uniform(120, 170), rng.uniform(50, 90))
    return body, "a landscape"


PHOTO, OIL, LITHOGRAPH, SKETCH = "a photo of", "an oil painting of", "a lithograph of", "a pencil sketch of"
SCENES = {  # scene: (variants, the styles that each of them is drawn in)
    snowy_village: (16, (OIL, PHOTO)),
    campfire: (20, (OIL, LITHOGRAPH)),
    amalfi: (16, (PHOTO,)),
    waterfalls: (16, (LITHOGRAPH, PHOTO)),
    barista: (12, (PHOTO,)),
    hatted_man: (12, ("", PHOTO)),
    rocket_ship: (10, ("",)),
    electric_sheep: (6, ("",)),
    holy_grail: (10, ("",)),
    mobius: (12, ("",)),
    tower: (30, (PHOTO, OIL)),
    skyline: (20, (PHOTO,)),
    landscape: (30, (PHOTO, OIL)),
}
