"""pocket's training pictures: free vector icons and drawn scenes, each with the sentences that describe it.

Every picture is a vector drawing of 256 x 256 units, rasterised once at 256 pixels; the 64-pixel target of stage 1 is
its 4 x 4 box average, so the upscaler's ground truth is exact. Style words are taught by procedure: one drawing becomes
"a photo of", "an oil painting of" and "a lithograph of" the same thing. The input images of the report are not among
the pictures. Sources and licences: MODEL_CARD.md.
"""

import json
import math
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy.ndimage import uniform_filter

SIZE = 256  # side of a rasterised picture; stage 1 sees it averaged down to 64
ICON_PACKAGES = {  # npm packages, needed for training only: version pinned, licence in MODEL_CARD.md
    "fluent-emoji-flat": "1.2.6",
    "fluent-emoji": "1.2.7",
    "noto": "1.2.9",
}
CACHE = Path(__file__).parents[2] / ".cache" / "icons"

NAMES = """
airplane alien automobile avocado backpack balloon banana bear bee:honeybee beer:beer-mug bicycle bird birthday-cake
boat:sailboat bomb bone bread bridge:bridge-at-night broccoli bus butterfly cactus camel camera candle carrot castle
cat:cat-face cherries chicken christmas-tree church circus-tent city:cityscape classical-building clown:clown-face
coffee:hot-beverage crab crescent-moon croissant crown cow:cow-face deer desert-island diamond:gem-stone dolphin
doughnut dragon-face drum duck eagle elephant fire fish flamingo flower:hibiscus flying-saucer fountain fox frog
full-moon gear ghost giraffe globe:globe-showing-europe-africa grapes guitar hamburger hammer hedgehog helicopter
horse-face house house-with-garden houses hot-dog ice-cream jack-o-lantern key kite koala lemon lion lobster
locomotive magnet maple-leaf microphone monkey-face mountain mouse-face mount-fuji mushroom octopus office-building
orange:tangerine owl palm-tree panda parrot peacock pear pencil penguin pig-face pine-tree:evergreen-tree pineapple
pizza rabbit-face rainbow red-apple ringed-planet robot rocket rooster rose scissors shark sheep:ewe
ship:passenger-ship shoe:running-shoe skull snail snake snowflake snowman:snowman-without-snow
snowy-mountain:snow-capped-mountain spider star statue-of-liberty strawberry sun sunflower
sunrise:sunrise-over-mountains swan t-rex taxi teapot teddy-bear telescope tent tiger-face tomato top-hat tractor
train tree:deciduous-tree trophy tropical-fish trumpet tulip turtle umbrella unicorn violin volcano watermelon
wave:water-wave whale wine-glass wolf zebra
""".split()

PEOPLE = """
man woman boy girl baby old-man old-woman man-with-a-beard:man-beard bald-man:man-bald woman-curly-hair man-red-hair
astronaut:man-astronaut cook:man-cook detective:man-detective farmer:man-farmer guard:man-guard wizard:man-mage
police-officer:man-police-officer scientist:man-scientist student:man-student singer:man-singer pilot:man-pilot
santa-claus prince princess ninja cowboy:cowboy-hat-face nerd:nerd-face smiling-face-with-sunglasses grinning-face
dog:dog-face
""".split()

PHOTO = "a high quality photo"


@dataclass(frozen=True)
class Picture:
    """One training picture: `rgb` uint8 (256, 256, 3), the captions that fit it, and how often to draw it."""

    rgb: np.ndarray
    captions: tuple[str, ...]
    weight: float = 1.0


# ---------------------------------------------------------------------------------------------- vectors to pixels


def fetch() -> None:
    """Install the icon packages into `CACHE` with npm. Raises CalledProcessError when npm fails."""
    if all((CACHE / "node_modules" / "@iconify-json" / name).exists() for name in ICON_PACKAGES):
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = [f"@iconify-json/{name}@{version}" for name, version in ICON_PACKAGES.items()]
    subprocess.run(["npm", "install", "--no-save", "--prefix", str(CACHE), *wanted], check=True)


@cache
def icon_set(package: str) -> dict:
    fetch()
    return json.loads((CACHE / "node_modules" / "@iconify-json" / package / "icons.json").read_text())


def icon(name: str, package: str, x: float, y: float, size: float, mirror: bool = False) -> str:
    """The named icon as an SVG fragment whose box is `size` units wide with its corner at (x, y)."""
    icons = icon_set(package)
    entry = icons["icons"][name]
    side = entry.get("width", icons.get("width", 16))
    flip = f"translate({x + size} {y}) scale({-size / side} {size / side})"
    keep = f"translate({x} {y}) scale({size / side})"
    return f'<g transform="{flip if mirror else keep}">{entry["body"]}</g>'


def rasterise(body: str) -> np.ndarray:
    """An SVG fragment in 256 x 256 units, as float RGBA in 0 … 1 of shape (256, 256, 4)."""
    import resvg_py

    svg = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{SIZE}" \
height="{SIZE}" viewBox="0 0 {SIZE} {SIZE}">{body}</svg>'
    png = resvg_py.svg_to_bytes(svg_string=svg)
    return np.asarray(Image.open(BytesIO(bytes(png))).convert("RGBA"), dtype=np.float32) / 255


def over(rgba: np.ndarray, background: np.ndarray) -> np.ndarray:
    return rgba[..., :3] * rgba[..., 3:] + background * (1 - rgba[..., 3:])


def vertical(top: tuple, bottom: tuple) -> np.ndarray:
    """A vertical gradient between two colours given in 0 … 255, as (256, 256, 3) in 0 … 1."""
    ramp = np.linspace(0, 1, SIZE, dtype=np.float32)[:, None, None]
    row = np.array(top, np.float32) * (1 - ramp) + np.array(bottom, np.float32) * ramp
    return np.broadcast_to(row / 255, (SIZE, SIZE, 3)).copy()


# ---------------------------------------------------------------------------------------------- style words


def photo(rgb: np.ndarray) -> np.ndarray:
    """Camera look: light from the upper left and a vignette."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j].astype(np.float32)
    light = 1.06 - 0.10 * (x + y) / 2 - 0.16 * (x * x + y * y) / 2
    return np.clip(rgb * light[..., None], 0, 1)


def oil_painting(rgb: np.ndarray, radius: int = 4) -> np.ndarray:
    """Kuwahara filter (each pixel takes the mean of its most even quadrant) on a warm canvas."""
    grey = rgb.mean(-1)
    means, spreads = [], []
    for dy in (-radius // 2, radius // 2):
        for dx in (-radius // 2, radius // 2):
            window = (radius + 1, radius + 1)
            shifted = np.roll(rgb, (dy, dx), (0, 1))
            g = np.roll(grey, (dy, dx), (0, 1))
            means.append(uniform_filter(shifted, (*window, 1)))
            spreads.append(uniform_filter(g * g, window) - uniform_filter(g, window) ** 2)
    best = np.argmin(spreads, 0)[None, ..., None]
    flat = np.take_along_axis(np.stack(means), best, 0)[0]
    warm = flat * np.array([1.04, 0.97, 0.84], np.float32)
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    canvas = 0.015 * np.sin(2 * np.pi * (x + y) / 32) + 0.015 * np.sin(2 * np.pi * (x - 2 * y) / 64)
    return np.clip(0.06 + 0.9 * warm + canvas[..., None], 0, 1)


def lithograph(rgb: np.ndarray) -> np.ndarray:
    """Black ink on cream paper: grey, more contrast, and diagonal hatching that thickens in the shadows."""
    grey = rgb @ np.array([0.30, 0.59, 0.11], np.float32)
    low, high = np.percentile(grey, (2, 98))
    tone = np.clip((grey - low) / max(high - low, 0.2), 0, 1)
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    hatch = 0.5 + 0.5 * np.sin(2 * np.pi * (x + y) / 32)
    ink = np.clip(tone + 0.2 * (hatch - 0.5) * (1 - tone), 0, 1)[..., None]
    paper, black = np.array([0.95, 0.92, 0.85], np.float32), np.array([0.10, 0.10, 0.13], np.float32)
    return ink * paper + (1 - ink) * black


FILTERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "a photo of": photo,
    "an oil painting of": oil_painting,
    "a lithograph of": lithograph,
}


def article(name: str) -> str:
    return ("an " if name[0] in "aeiou" else "a ") + name


# ---------------------------------------------------------------------------------------------- one object


def backdrop(rng: np.random.Generator) -> np.ndarray:
    """A soft two-colour gradient, like a studio's or a sky's."""
    hues = [
        ((150, 196, 236), (228, 240, 248)),
        ((236, 214, 180), (250, 240, 224)),
        ((120, 160, 120), (206, 224, 190)),
        ((70, 80, 120), (150, 160, 196)),
        ((208, 180, 204), (240, 228, 238)),
        ((60, 66, 76), (132, 138, 148)),
    ]
    return vertical(*hues[rng.integers(len(hues))])


def shadowed(body: str, background: np.ndarray) -> np.ndarray:
    """A drawing over a background, with a soft contact shadow."""
    rgba = rasterise(body)
    alpha = Image.fromarray((rgba[..., 3] * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(7))
    shade = 0.35 * np.roll(np.asarray(alpha, np.float32) / 255, (9, 5), (0, 1))
    return over(rgba, background * (1 - shade[..., None]))


def objects() -> Iterator[tuple[np.ndarray, str, str]]:
    """Yields (rgb, noun phrase, style) for every named icon: plain from two sets, styled from the shaded one."""
    for index, item in enumerate(NAMES + PEOPLE):
        word, _, key = item.partition(":")
        key = key or word
        noun = article(word.removesuffix("-face").replace("-", " "))
        rng = np.random.default_rng(index)
        for package in ("fluent-emoji-flat", "noto"):
            white = np.full((SIZE, SIZE, 3), 0.97, np.float32)
            yield over(rasterise(icon(key, package, 16, 16, 224)), white), noun, "plain"
        rare = ("an oil painting of", "a lithograph of")
        for style in ("a photo of", *(rare if noun in COURSE else (rare[index % 2],))):
            paper = vertical((214, 214, 214), (250, 250, 250)) if style == "a lithograph of" else backdrop(rng)
            yield shadowed(icon(key, "fluent-emoji", 12, 12, 232), paper), noun, style


# ---------------------------------------------------------------------------------------------- scenes


def polygon(points: list[tuple[float, float]], fill: str, more: str = "") -> str:
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="{fill}" {more}/>'


def rect(x: float, y: float, w: float, h: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}"/>'


def pick(rng: np.random.Generator, *choices):
    return choices[rng.integers(len(choices))]


def house(x: float, y: float, w: float, wall: str, roof: str) -> str:
    """A small gabled house whose base is at y."""
    h = w * 0.75
    windows = "".join(rect(x + w * f, y - h * 0.6, w * 0.2, h * 0.28, "#ffd76a") for f in (0.18, 0.62))
    gable = polygon([(x - w * 0.12, y - h), (x + w / 2, y - h * 1.75), (x + w * 1.12, y - h)], roof)
    return rect(x, y - h, w, h, wall) + windows + gable


def peaks(rng: np.random.Generator, base: float, rock: str, snow: str, count: int = 3) -> str:
    out = ""
    for k in range(count):
        x, half = (k + 0.5) * SIZE / count + rng.uniform(-20, 20), rng.uniform(60, 90)
        top = base - rng.uniform(80, 130)
        out += polygon([(x - half, base), (x, top), (x + half, base)], rock)
        edge = [(-0.42, 0.42), (0.0, 0.0), (0.42, 0.42), (0.14, 0.32), (-0.12, 0.36)]  # in half widths and heights
        out += polygon([(x + half * across, top + (base - top) * down) for across, down in edge], snow)
    return out


def snowy_village(rng):
    sky = vertical(*pick(rng, ((120, 170, 220), (226, 236, 246)), ((88, 96, 150), (240, 196, 180))))
    body = peaks(rng, 170, "#6d7f99", "#f7fbff") + rect(0, 165, 256, 91, "#eef4fa")
    for k in range(4):
        w = rng.uniform(34, 46)
        x, y = 12 + k * 60 + rng.uniform(-6, 6), rng.uniform(190, 236)
        body += house(x, y, w, pick(rng, "#8a4b2d", "#a65f3c", "#6f3d28"), "#ffffff")
    return over(rasterise(body), sky), "a snowy mountain village"


def campfire(rng):
    sky = vertical(*pick(rng, ((16, 22, 58), (70, 50, 90)), ((10, 24, 44), (50, 66, 84))))
    body = rect(0, 190, 256, 66, pick(rng, "#3a2b22", "#2c3426"))
    body += '<circle cx="128" cy="170" r="86" fill="#ff9a2e" opacity="0.28"/>'
    body += icon("fire", "fluent-emoji", 84, 104, 92)
    who = ["person", "woman", "man", "boy", "girl", "old-man", "man-beard", "woman-curly-hair"]
    for k, (x, y) in enumerate([(2, 92), (170, 92), (40, 150), (140, 154)][: rng.integers(2, 5)]):
        body += icon(pick(rng, *who), "fluent-emoji", x, y, 84 if k < 2 else 72, mirror=bool(k % 2))
    return over(rasterise(body), sky), "people around a campfire"


def amalfi(rng):
    sky = vertical((96, 172, 232), (214, 236, 250))
    body = rect(0, 150, 256, 106, "#2a86c4") + rect(0, 150, 256, 10, "#5cb3e0")
    side = bool(rng.integers(2))
    flank = [(0, 40), (70, 60), (120, 110), (176, 170), (200, 256), (0, 256)]
    body += polygon(flank, "#7d8f5a")
    for _ in range(13):
        x = rng.uniform(0, 128)
        y = 110 + x * 0.72 + rng.uniform(0, 70)
        body += house(
            x, min(y, 246), rng.uniform(20, 28), pick(rng, "#f6c98b", "#f29b7f", "#fbe6c0", "#e9738a"), "#c4573a"
        )
    if rng.integers(2):
        body += icon("sailboat", "fluent-emoji", 190, 160, 50)
    picture = over(rasterise(body), sky)
    return (picture[:, ::-1] if side else picture), "the amalfi coast"


def waterfalls(rng):
    sky = vertical((170, 208, 232), (226, 240, 246))
    left, right = rng.uniform(66, 96), rng.uniform(160, 190)
    body = polygon([(0, 30), (left, 54), (left, 256), (0, 256)], "#4d5a48")
    body += polygon([(256, 24), (right, 54), (right, 256), (256, 256)], "#445042")
    body += rect(left, 52, right - left, 170, "#dff1fb")
    for x in np.linspace(left + 4, right - 6, 7):
        body += rect(x + rng.uniform(-3, 3), 52, rng.uniform(3, 7), 168, pick(rng, "#9ccbe6", "#7fb7da", "#ffffff"))
    body += rect(0, 218, 256, 38, "#4f93bb")
    body += f'<ellipse cx="{(left + right) / 2}" cy="220" rx="{(right - left) * 0.66}" ry="14" fill="#f6fcff"/>'
    for x in rng.uniform(0, 60, 3):
        body += icon("evergreen-tree", "fluent-emoji", pick(rng, x, 250 - x) - 28, rng.uniform(0, 40), 60)
    return over(rasterise(body), sky), "waterfalls"


def barista(rng):
    shop = vertical(*pick(rng, ((120, 82, 56), (176, 128, 92)), ((70, 92, 90), (128, 150, 142))))
    body = icon(pick(rng, "man-beard", "person-beard"), "fluent-emoji", 22, 2, 212)
    body += rect(0, 212, 256, 44, "#5a3823") + icon("hot-beverage", "fluent-emoji", pick(rng, 6, 154), 150, 92)
    return over(rasterise(body), shop), "a hipster barista"


def hatted_man(rng):
    body = icon(pick(rng, "man", "man-beard", "old-man", "man-red-hair"), "fluent-emoji", 24, 48, 208)
    body += icon("top-hat", "fluent-emoji", 62, -8, 132)
    return over(rasterise(body), backdrop(rng)), "a man wearing a hat"


def rocket_ship(rng):
    sky = vertical(*pick(rng, ((10, 14, 44), (44, 40, 96)), ((30, 60, 120), (130, 170, 220))))
    body = "".join(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="2.5" fill="#fff"/>' for x, y in rng.uniform(0, 256, (14, 2)))
    return over(rasterise(body + icon("rocket", "fluent-emoji", 20, 20, 216)), sky), "a rocket ship"


def electric_sheep(rng):
    sky = vertical((40, 24, 84), (96, 70, 150))
    body = icon("robot", "fluent-emoji", 4, 84, 168)
    body += '<ellipse cx="188" cy="66" rx="66" ry="50" fill="#fff" opacity="0.9"/>'
    body += '<circle cx="140" cy="122" r="9" fill="#fff"/>'
    body += icon("ewe", "fluent-emoji", 142, 22, 88) + icon("high-voltage", "fluent-emoji", pick(rng, 216, 128), 8, 34)
    return over(rasterise(body), sky), "an android dreaming of electric sheep"


def holy_grail(rng):
    tomb = vertical(*pick(rng, ((96, 70, 40), (168, 130, 78)), ((70, 60, 50), (140, 112, 80))))
    body = icon(pick(rng, "man", "man-beard"), "fluent-emoji", -8, 52, 190)
    body += '<ellipse cx="87" cy="82" rx="88" ry="15" fill="#5b3a1e"/>'
    body += '<path d="M38 80Q42 26 66 30L87 38L108 30Q132 26 136 80Z" fill="#6e4726"/>'
    body += '<path d="M38 80q49 12 98 0v-12q-49 12 -98 0z" fill="#2f1d0e"/>'
    body += '<circle cx="196" cy="120" r="58" fill="#ffe9a0" opacity="0.45"/>'
    body += icon("trophy", "fluent-emoji", 142, 66, 108)
    return over(rasterise(body), tomb), pick(rng, "Dr.Jones holding the holy grail", "a man holding the holy grail")


def mobius(rng):
    """A Moebius band, its quads painted from back to front."""
    tilt, turn, hue = rng.uniform(0.7, 1.0), rng.uniform(0, 2 * math.pi), rng.integers(3)
    quads = []
    steps = 96

    def point(u, v):
        r = 80 + 34 * v * math.cos(u / 2 + turn)
        x, y, z = r * math.cos(u), r * math.sin(u), 34 * v * math.sin(u / 2 + turn)
        return x, y * math.sin(tilt) * 0.75 - z * 0.9, y + z * 0.4

    for k in range(steps):
        u0, u1 = 2 * math.pi * k / steps, 2 * math.pi * (k + 1.3) / steps
        corners = [point(u0, -1), point(u0, 1), point(u1, 1), point(u1, -1)]
        lit = 0.55 + 0.45 * abs(math.cos(u0 / 2 + turn))
        base = [(240, 150, 40), (60, 150, 220), (200, 70, 110)][hue]
        fill = "rgb({:.0f},{:.0f},{:.0f})".format(*(c * lit for c in base))
        quads.append((sum(c[2] for c in corners), polygon([(128 + c[0], 128 + c[1]) for c in corners], fill)))
    return shadowed("".join(q for _, q in sorted(quads)), backdrop(rng)), "a mobius strip"


def tower(rng):
    """A tower with a pointed roof over trees: towers, spires and skies for the prior over photographs."""
    sky = vertical(
        *pick(
            rng,
            ((90, 150, 220), (216, 232, 246)),
            ((226, 150, 110), (250, 220, 180)),
            ((150, 160, 176), (222, 226, 232)),
        )
    )
    x, w, top = rng.uniform(80, 170), rng.uniform(34, 60), rng.uniform(40, 90)
    wall, roof = pick(rng, "#d8d2c4", "#c9b79c", "#b9b4ae"), pick(rng, "#8d8a86", "#9a5a44", "#5f7d78")
    body = rect(x - w / 2, top, w, 256 - top, wall) + rect(x + w / 4, top, w / 4, 256 - top, "#00000022")
    body += polygon([(x - w * 0.6, top), (x, top - rng.uniform(30, 56)), (x + w * 0.6, top)], roof)
    for level in np.arange(top + 14, 220, rng.uniform(26, 44)):
        body += rect(x - w * 0.22, level, w * 0.14, 16, "#4a4f58") + rect(x + w * 0.08, level, w * 0.14, 16, "#4a4f58")
    for t in rng.uniform(-10, 250, 7):
        y, r, green = rng.uniform(214, 246), rng.uniform(16, 30), pick(rng, "#3f6b3a", "#587f45", "#2f5536")
        body += f'<circle cx="{t:.0f}" cy="{y:.0f}" r="{r:.0f}" fill="{green}"/>'
    return over(rasterise(body + rect(0, 244, 256, 12, "#5a7f4a")), sky), pick(rng, "a tower", "a bell tower")


def skyline(rng):
    sky = vertical(
        *pick(
            rng, ((90, 150, 220), (216, 232, 246)), ((40, 40, 90), (200, 120, 110)), ((150, 170, 190), (230, 232, 236))
        )
    )
    body = ""
    for x in range(0, 256, 32):
        h, w = rng.uniform(60, 190), rng.uniform(26, 40)
        body += rect(x, 256 - h, w, h, pick(rng, "#7e8794", "#b0a79a", "#5c6675", "#c7a98a"))
        for y in np.arange(256 - h + 12, 244, 20):
            body += rect(x + 6, y, 6, 9, "#f5e3a2") + rect(x + 18, y, 6, 9, "#33404f")
    return over(rasterise(body), sky), "a city"


def landscape(rng):
    sky = vertical(
        *pick(
            rng, ((90, 150, 220), (216, 232, 246)), ((226, 130, 100), (250, 220, 170)), ((60, 90, 150), (190, 210, 230))
        )
    )
    body = icon("sun", "fluent-emoji", rng.uniform(10, 190), rng.uniform(6, 60), 54) if rng.integers(2) else ""
    body += peaks(
        rng, 190, pick(rng, "#5f7f6a", "#7a6f8d", "#8a7660"), pick(rng, "#f2f6fa", "#a9bfae"), rng.integers(2, 5)
    )
    body += rect(0, 180, 256, 76, pick(rng, "#6fa050", "#3d87b8", "#c9b26b", "#86a860"))
    for x in rng.uniform(-10, 220, rng.integers(1, 5)):
        body += icon(
            pick(rng, "evergreen-tree", "deciduous-tree"), "fluent-emoji", x, rng.uniform(120, 170), rng.uniform(50, 90)
        )
    return over(rasterise(body), sky), "a landscape"


SCENES = {  # scene: (variants, styles)
    snowy_village: (20, ("an oil painting of", "a photo of")),
    campfire: (24, ("an oil painting of", "a lithograph of")),
    amalfi: (24, ("a photo of",)),
    waterfalls: (24, ("a lithograph of", "a photo of")),
    barista: (16, ("a photo of",)),
    hatted_man: (16, ("plain", "a photo of")),
    rocket_ship: (12, ("plain",)),
    electric_sheep: (16, ("plain",)),
    holy_grail: (16, ("plain",)),
    mobius: (16, ("plain",)),
    tower: (40, ("a photo of", "an oil painting of")),
    skyline: (30, ("a photo of",)),
    landscape: (40, ("a photo of", "an oil painting of")),
}
COURSE = {  # objects that the course's prompts name, drawn more often: word, styles
    "an old man": "an oil painting of",
    "a man": "a photo of",
    "a dog": "a photo of",
    "a skull": "a lithograph of",
    "a pencil": "plain",
    "a rocket": "plain",
}


def styled(rgb: np.ndarray, noun: str, style: str, weight: float) -> Picture:
    if style == "plain":
        return Picture((rgb * 255).round().astype(np.uint8), (noun,), weight)
    captions = (f"{style} {noun}",) * 3 + ((PHOTO,) if style == "a photo of" else ())
    return Picture((FILTERS[style](rgb) * 255).round().astype(np.uint8), captions, weight)


def pictures() -> Iterator[Picture]:
    """Every training picture, in a fixed order."""
    for rgb, noun, style in objects():
        yield styled(rgb, noun, style, 24.0 if COURSE.get(noun) == style else 1.0)
    for scene, (variants, styles) in SCENES.items():
        for k in range(variants):
            rng = np.random.default_rng([k, len(scene.__name__)])
            rgb, noun = scene(rng)
            for style in styles:
                yield styled(rgb, noun, style, 1.5)
