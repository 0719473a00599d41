"""Random heads of people, dogs and skulls, all with one layout.

Each is a front view with the eyes near the middle of the head and every part randomised. Parts that can match another
picture in an anagram or a hybrid vary most: a beard from stubble to a flame that narrows downwards, ears that hang or
stand, eye sockets of any size.
"""

import numpy as np

from .vectors import (
    bow,
    chance,
    ellipse,
    gradient,
    hsv,
    near,
    path,
    pick,
    polygon,
    rect,
    ring,
    shade,
    smooth,
    stroke,
    symmetric,
)

SKIN = ("#f0c8a0", "#e8b58a", "#d69c6e", "#b97a4e", "#8d5a38", "#f5d4b8")
HAIR = ("#2c1d14", "#4a2f1d", "#6e4526", "#a0662e", "#d0a050", "#1a1718", "#8a3b20")
WHITE = ("#f2f0ea", "#d9d5cb", "#c4beb2", "#ece2c8")
EMBERS = ("#f2902e", "#ffb347", "#e8a860", "#ffd27a")  # white hair in firelight
FUR = ("#8a5a34", "#b5793f", "#d8a868", "#5a3a26", "#e8d2b0", "#c98f50", "#3c2c24", "#f1ebe0")


def portrait(
    rng: np.random.Generator,
    x: float,
    y: float,
    w: float,
    old: bool = False,
    beard: bool | None = None,
    hat: str = "",
    lit: bool = False,
    glasses: bool | None = None,
    coat: str = "",
) -> str:
    """A person from the chest up; the head is w wide and centred at (x, y).

    old: white hair or bald, with wrinkles. beard, glasses: None is random. hat: "", "top", "fedora" or "beanie". lit:
    from below by a fire. coat: its colour; "" is random.
    """
    h = w * rng.uniform(1.18, 1.42)  # the head's height
    skin = near(rng, pick(rng, *SKIN), 0.05)
    shades = (EMBERS if lit and chance(rng, 0.5) else WHITE) if old else HAIR
    hair = near(rng, pick(rng, *shades), 0.05)
    beard = chance(rng, 0.35) if beard is None else beard
    coat = coat or hsv(rng.random(), rng.uniform(0.1, 0.6), rng.uniform(0.15, 0.7))
    chin, top = y + h / 2, y - h / 2
    long = not old and not beard and chance(rng, 0.25)
    out = ""
    if long:  # hair behind the head
        fall = rng.uniform(0.45, 0.85) * h
        out += path(
            smooth(symmetric([(w * 0.4, top - h * 0.06), (w * 0.68, y - h * 0.1), (w * 0.62, y + fall)], x)), hair
        )
    shoulder = rng.uniform(1.0, 1.5) * w
    out += path(
        smooth(symmetric([(w * 0.2, chin - h * 0.05), (shoulder, chin + h * 0.22), (shoulder * 1.05, 300)], x)), coat
    )
    out += rect(x - w * 0.2, y + h * 0.2, w * 0.4, h * 0.42, shade(skin, 0.82))
    for side in (-1, 1):
        out += ellipse(x + side * w * 0.5, y + h * 0.03, w * 0.09, h * 0.1, shade(skin, 0.9))
    jaw = rng.uniform(0.3, 0.44)
    head = symmetric(
        [
            (w * 0.34, top),
            (w * 0.52, y - h * 0.16),
            (w * 0.5, y + h * 0.2),
            (w * jaw, y + h * 0.46),
            (w * 0.14, chin + h * 0.06),
        ],
        x,
    )
    shine, fill = gradient(
        f"skin{skin[1:]}", *((0, shade(skin, 0.55), 1), (0.55, skin, 1), (1, shade(skin, 1.25), 1)) if lit
        else ((0, shade(skin, 1.08), 1), (1, shade(skin, 0.88), 1)))  # fmt: skip
    out += shine + path(smooth(head), fill)
    out += _hair(rng, x, y, w, h, hair, old)
    if beard:
        out += _beard(rng, x, y, w, h, hair, old, lit)
    out += _features(rng, x, y, w, h, skin, hair, old, beard)
    if glasses if glasses is not None else chance(rng, 0.2):
        frame, r = pick(rng, "#1c1a1a", "#5a3a22", "#d8b050"), rng.uniform(0.13, 0.17) * w
        for side in (-1, 1):
            out += ring(x + side * w * 0.21, y, r, frame, max(w * 0.025, 1.6))
        out += stroke(f"M{x - w * 0.08:.1f} {y:.1f}h{w * 0.16:.1f}", frame, max(w * 0.025, 1.6))
    return out + _hat(rng, x, top, w, h, hat)


def _hair(rng: np.random.Generator, x: float, y: float, w: float, h: float, hair: str, old: bool) -> str:
    top = y - h / 2
    line = y - h * rng.uniform(0.2, 0.34)  # the hairline
    sides = "".join(
        ellipse(
            x + side * w * 0.5,
            y - h * rng.uniform(0.05, 0.18),
            w * rng.uniform(0.08, 0.2),
            h * rng.uniform(0.14, 0.26),
            hair,
        )
        for side in (-1, 1)
    )
    if old and chance(rng, 0.6):  # bald on top, tufts at the sides
        return sides
    lift = h * rng.uniform(0.04, 0.22)
    cap = [
        (x - w * 0.55, y - h * 0.08),
        (x - w * 0.5, top - lift * 0.4),
        (x, top - lift),
        (x + w * 0.5, top - lift * 0.4),
        (x + w * 0.55, y - h * 0.08),
        (x + w * 0.42, line),
        (x + w * rng.uniform(-0.2, 0.2), line - h * rng.uniform(-0.02, 0.06)),
        (x - w * 0.42, line),
    ]
    return path(smooth(cap), hair) + (sides if old else "")


def _beard(rng: np.random.Generator, x: float, y: float, w: float, h: float, hair: str, old: bool, lit: bool) -> str:
    """A beard from the ears around the chin to a tip, which is the brightest part if lit from below."""
    length = h * (rng.uniform(0.5, 1.35) if old else rng.uniform(0.12, 0.5))
    chin, wide, sway = y + h / 2, rng.uniform(0.5, 0.62), w * rng.uniform(-0.12, 0.12)
    tip = chin + length * 0.95
    taper = rng.uniform(0.18, 0.34) if old else rng.uniform(0.3, 0.46)
    right = [
        (w * 0.5, y + h * 0.02),
        (w * wide, y + h * 0.3),
        (w * (0.35 + taper * 0.6), chin + length * 0.25),
        (w * taper * 0.7, chin + length * 0.65),
    ]
    outline = (
        [(x + dx, yy) for dx, yy in right] + [(x + sway, tip + h * 0.1)] + [(x - dx, yy) for dx, yy in reversed(right)]
    )
    inner = [
        (x - w * 0.4, y + h * 0.14),
        (x - w * 0.26, y + h * 0.24),
        (x, y + h * 0.2),
        (x + w * 0.26, y + h * 0.24),
        (x + w * 0.4, y + h * 0.14),
    ]
    bright = near(rng, pick(rng, "#ffd27a", "#ffb347", "#ffe9b0"), 0.06)
    shine, fill = gradient(f"beard{hair[1:]}", (0, hair, 1), (1, bright if lit else shade(hair, 0.86), 1))
    out = shine + path(smooth(outline + inner), fill)
    for _ in range(int(rng.integers(3, 8))):  # strands
        at, reach = rng.uniform(-0.32, 0.32) * w, rng.uniform(0.35, 0.8)
        bent = bow(x + at, y + h * 0.34, at * 0.1, h * 0.16, sway * reach - at * 0.65, h * 0.16 + length * reach)
        out += stroke(bent, shade(hair, rng.uniform(0.7, 1.15)), max(w * 0.02, 1.2), 0.8)
    return out


def _features(
    rng: np.random.Generator, x: float, y: float, w: float, h: float, skin: str, hair: str, old: bool, beard: bool
) -> str:
    out, apart, eye = "", w * rng.uniform(0.19, 0.23), w * rng.uniform(0.055, 0.085)
    iris = pick(rng, "#2a1c14", "#3c5a78", "#4a6a3c", "#1c1a1c")
    brow = shade(hair, 0.9) if not old else hair
    tilt = rng.uniform(-8, 14)
    for side in (-1, 1):
        at = x + side * apart
        out += ellipse(at, y, eye * 1.35, eye, "#fbf8f2") + ellipse(at, y, eye * 0.75, eye * 0.85, iris)
        out += ellipse(
            at, y - h * rng.uniform(0.1, 0.12), w * 0.12, h * (0.03 if old else 0.022), brow, tilt=side * tilt
        )
        if old:
            out += stroke(
                bow(at - w * 0.1, y + h * 0.085, w * 0.1, h * 0.03, w * 0.2, 0),
                shade(skin, 0.72),
                max(w * 0.018, 1),
            )
    nose = rng.uniform(0.07, 0.12) * w
    out += path(
        smooth(symmetric([(nose * 0.35, y), (nose, y + h * 0.17), (nose * 0.6, y + h * 0.2)], x)), shade(skin, 0.82)
    )
    if beard and chance(rng, 0.85):  # a moustache
        drop = rng.uniform(0.27, 0.32)
        half = [
            (0, y + h * 0.2),
            (w * 0.16, y + h * 0.22),
            (w * 0.3, y + h * drop),
            (w * 0.1, y + h * 0.29),
            (0, y + h * 0.26),
        ]
        out += path(smooth(symmetric(half, x)), shade(hair, 0.95))
    smile = h * rng.uniform(-0.02, 0.06)
    lips = pick(rng, "#a8483c", "#8a3a34", "#c06a5a")
    return out + stroke(bow(x - w * 0.14, y + h * 0.32, w * 0.14, smile, w * 0.28, 0), lips, max(w * 0.04, 1.6))


def _hat(rng: np.random.Generator, x: float, top: float, w: float, h: float, hat: str) -> str:
    if not hat:
        return ""
    brim = top + h * rng.uniform(0.12, 0.2)
    match hat:
        case "top":
            cloth, tall = near(rng, pick(rng, "#201c28", "#3a2436", "#1c2a3a", "#4a3020")), h * rng.uniform(0.45, 0.8)
            band = hsv(rng.random(), 0.7, 0.6)
            out = polygon(
                [(x - w * 0.42, brim), (x - w * 0.46, brim - tall), (x + w * 0.46, brim - tall), (x + w * 0.42, brim)],
                cloth,
            )
            out += rect(x - w * 0.43, brim - tall * 0.25, w * 0.86, tall * 0.2, band)
            return out + ellipse(x, brim, w * rng.uniform(0.68, 0.85), h * 0.06, shade(cloth, 0.8))
        case "fedora":
            felt, tall = near(rng, pick(rng, "#6e4726", "#8a6a44", "#3c3430", "#9a8a70")), h * rng.uniform(0.28, 0.42)
            crown = [
                (x - w * 0.5, brim),
                (x - w * 0.46, brim - tall),
                (x - w * 0.2, brim - tall * 1.2),
                (x, brim - tall * 0.95),
                (x + w * 0.2, brim - tall * 1.2),
                (x + w * 0.46, brim - tall),
                (x + w * 0.5, brim),
            ]
            out = path(smooth(crown), felt) + rect(
                x - w * 0.46, brim - tall * 0.3, w * 0.92, tall * 0.26, shade(felt, 0.5)
            )
            return out + ellipse(x, brim, w * rng.uniform(0.78, 1.0), h * 0.07, shade(felt, 0.85))
        case _:
            knit, tall = hsv(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.2, 0.8)), h * rng.uniform(0.24, 0.4)
            dome = [
                (x - w * 0.55, brim + h * 0.02),
                (x - w * 0.52, brim - tall * 0.7),
                (x, brim - tall * 1.25),
                (x + w * 0.52, brim - tall * 0.7),
                (x + w * 0.55, brim + h * 0.02),
            ]
            return path(smooth(dome), knit) + rect(x - w * 0.54, brim - h * 0.06, w * 1.08, h * 0.11, shade(knit, 0.8))


def dog(rng: np.random.Generator, x: float, y: float, w: float) -> str:
    """A dog's head, w wide and centred at (x, y)."""
    h = w * rng.uniform(0.95, 1.3)
    fur = near(rng, pick(rng, *FUR), 0.06)
    light = near(rng, pick(rng, "#f4e6d0", "#e8cfa8", "#fbf4ea", shade(fur, 1.25)), 0.04)
    dark = shade(fur, rng.uniform(0.5, 0.8)) if chance(rng, 0.7) else light
    out, hang = "", chance(rng, 0.75)
    body = rng.uniform(0.55, 0.85) * w
    out += path(
        smooth(symmetric([(w * 0.25, y + h * 0.2), (body, y + h * 0.75), (body * 1.1, 310)], x)), shade(fur, 0.9)
    )
    length = h * rng.uniform(0.4, 0.95)
    spread = rng.uniform(0.5, 0.72)
    for side in (-1, 1):
        if hang:
            ear = [
                (x + side * w * 0.3, y - h * 0.46),
                (x + side * w * spread, y - h * 0.4),
                (x + side * w * (spread + 0.12), y - h * 0.4 + length),
                (x + side * w * 0.42, y - h * 0.34 + length * 0.9),
                (x + side * w * 0.36, y - h * 0.1),
            ]
        else:
            ear = [
                (x + side * w * 0.1, y - h * 0.4),
                (x + side * w * 0.3, y - h * 0.75),
                (x + side * w * 0.5, y - h * 0.8),
                (x + side * w * 0.52, y - h * 0.1),
            ]
        out += path(smooth(ear), dark) if not hang else ""
        if not hang:
            out += path(
                smooth([((px + x + side * w * 0.35) / 2, (py + y - h * 0.4) / 2) for px, py in ear]), "#d89a90", 0.6
            )
    wide = rng.uniform(0.44, 0.54)
    head = symmetric(
        [
            (w * 0.3, y - h * 0.5),
            (w * wide, y - h * 0.25),
            (w * wide, y + h * 0.2),
            (w * 0.36, y + h * 0.48),
            (w * 0.12, y + h * 0.54),
        ],
        x,
    )
    shine, fill = gradient(f"fur{fur[1:]}", (0, shade(fur, 1.1), 1), (1, shade(fur, 0.9), 1))
    out += shine + path(smooth(head), fill)
    if chance(rng, 0.35):  # a patch around one eye
        out += ellipse(x + pick(rng, -1, 1) * w * 0.2, y - h * 0.08, w * 0.17, h * 0.17, shade(fur, 0.6))
    if chance(rng, 0.4):  # a blaze down the forehead
        out += path(
            smooth(symmetric([(w * 0.03, y - h * 0.45), (w * 0.07, y - h * 0.1), (w * 0.2, y + h * 0.2)], x)), light
        )
    if hang:
        for side in (-1, 1):
            ear = [
                (x + side * w * 0.28, y - h * 0.5),
                (x + side * w * spread, y - h * 0.44),
                (x + side * w * (spread + 0.14), y - h * 0.4 + length),
                (x + side * w * 0.44, y - h * 0.34 + length),
                (x + side * w * 0.4, y - h * 0.1),
            ]
            out += path(smooth(ear), dark)
    snout = y + h * rng.uniform(0.16, 0.24)
    size = rng.uniform(0.2, 0.29)
    out += ellipse(x, snout + h * 0.06, w * size, h * size * rng.uniform(0.75, 1.0), light)
    tongue = chance(rng, 0.45)
    if tongue:
        drop = h * rng.uniform(0.14, 0.26)
        out += path(
            smooth(
                symmetric(
                    [
                        (w * 0.07, snout + h * 0.12),
                        (w * 0.11, snout + h * 0.12 + drop),
                        (w * 0.02, snout + h * 0.16 + drop),
                    ],
                    x,
                )
            ),
            "#e8788a",
        )
    for side in (-1, 1):
        out += stroke(
            bow(x, snout + h * 0.08, side * w * 0.02, h * 0.09, side * w * 0.14, h * 0.06),
            "#3a2620",
            max(w * 0.022, 1.4),
        )
    nose = rng.uniform(0.085, 0.13) * w
    out += ellipse(x, snout, nose, nose * 0.75, "#231a1a")
    eye, apart = rng.uniform(0.04, 0.062) * w, w * rng.uniform(0.17, 0.23)
    for side in (-1, 1):
        out += ellipse(x + side * apart, y - h * 0.08, eye, eye * 1.1, "#1e1614")
        out += ellipse(x + side * apart - eye * 0.3, y - h * 0.08 - eye * 0.4, eye * 0.32, eye * 0.32, "#ffffff")
    return out


def skull(rng: np.random.Generator, x: float, y: float, w: float) -> str:
    """A human skull from the front, w wide and centred at (x, y)."""
    h = w * rng.uniform(1.15, 1.4)
    bone = near(rng, pick(rng, "#ece4d0", "#f6f2e8", "#d8d0c0", "#c8c4bc"), 0.04)
    hollow = near(rng, pick(rng, "#18161a", "#2a2428", "#3a3230"), 0.03)
    top, jaw = y - h / 2, rng.uniform(0.26, 0.36)
    cranium = symmetric(
        [
            (w * 0.3, top),
            (w * 0.52, top + h * 0.16),
            (w * 0.53, y - h * 0.02),
            (w * 0.42, y + h * 0.16),
            (w * jaw, y + h * 0.3),
            (w * jaw, y + h * 0.5),
            (w * 0.1, y + h * 0.54),
        ],
        x,
    )
    shine, fill = gradient(f"bone{bone[1:]}", (0, shade(bone, 1.06), 1), (1, shade(bone, 0.8), 1))
    out = shine + path(smooth(cranium), fill)
    rx, ry = w * rng.uniform(0.12, 0.18), h * rng.uniform(0.085, 0.14)
    apart, level, tilt = w * rng.uniform(0.2, 0.26), y + h * rng.uniform(-0.06, 0.04), rng.uniform(-12, 12)
    for side in (-1, 1):
        out += ellipse(x + side * apart, level, rx, ry, hollow, tilt=side * tilt)
        out += ellipse(x + side * w * 0.5, y - h * 0.02, w * 0.05, h * 0.11, shade(bone, 0.7), 0.7)
    nose = h * rng.uniform(0.1, 0.14)
    at = level + ry * 0.9
    out += path(
        smooth(
            [
                (x, at - nose * 0.3),
                (x + w * 0.09, at + nose),
                (x + w * 0.01, at + nose * 0.8),
                (x - w * 0.01, at + nose * 0.8),
                (x - w * 0.09, at + nose),
            ]
        ),
        hollow,
    )
    row, count = y + h * rng.uniform(0.3, 0.36), int(rng.integers(4, 8))
    for k in range(count):
        tooth = w * jaw * 1.7 / count
        out += rect(
            x - w * jaw * 0.85 + k * tooth + tooth * 0.12,
            row,
            tooth * 0.76,
            h * rng.uniform(0.09, 0.13),
            shade(bone, 1.15),
        )
        out += rect(x - w * jaw * 0.85 + k * tooth - tooth * 0.06, row - h * 0.01, tooth * 0.12, h * 0.13, hollow, 0.8)
    return out
