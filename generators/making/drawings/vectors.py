"""Helpers for vector drawings, and rasterisation. A drawing is an SVG fragment in 256 x 256 units.

One drawing is the ground truth of all three stages, because it can be rasterised at any size.
"""

import colorsys
from io import BytesIO

import numpy as np
from PIL import Image

UNITS = 256  # side of a drawing
Point = tuple[float, float]
Scene = tuple[str, str]  # a drawing of the whole square, and its noun phrase


# ------------------------------------------------------------------------------------------------------------- chance


def pick(rng: np.random.Generator, *choices):
    """Returns one of the choices, uniformly at random."""
    return choices[rng.integers(len(choices))]


def chance(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


# ------------------------------------------------------------------------------------------------------------ colours


def hsv(hue: float, saturation: float, value: float) -> str:
    """Returns a colour as "#rrggbb" from hue (modulo 1), saturation and value (both clipped to 0 … 1)."""
    rgb = colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def near(rng: np.random.Generator, colour: str, spread: float = 0.08) -> str:
    """Varies "#rrggbb" at random: saturation and value by up to `spread`, the hue by up to a third of it."""
    rgb = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    off = rng.uniform(-spread, spread, 3)
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    return hsv(hue + off[0] / 3, saturation + off[1], value + off[2])


def shade(colour: str, factor: float) -> str:
    """Multiplies the RGB values of a colour by `factor`."""
    return "#" + "".join(f"{min(round(factor * int(colour[k : k + 2], 16)), 255):02x}" for k in (1, 3, 5))


# ------------------------------------------------------------------------------------------------------------- shapes


def rect(x: float, y: float, w: float, h: float, fill: str, opacity: float = 1) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}" opacity="{opacity:.2f}"/>'


def polygon(points: list[Point], fill: str, opacity: float = 1) -> str:
    return f'<polygon points="{_listed(points)}" fill="{fill}" opacity="{opacity:.2f}"/>'


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, opacity: float = 1, tilt: float = 0) -> str:
    turn = f' transform="rotate({tilt:.1f} {x:.1f} {y:.1f})"' if tilt else ""
    return (
        f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" fill="{fill}" opacity="{opacity:.2f}"{turn}/>'
    )


def path(d: str, fill: str, opacity: float = 1) -> str:
    return f'<path d="{d}" fill="{fill}" opacity="{opacity:.2f}"/>'


def stroke(d: str, colour: str, width: float, opacity: float = 1) -> str:
    """Returns a path drawn as a line with round ends."""
    return (
        f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{width:.1f}" stroke-linecap="round" '
        f'stroke-linejoin="round" opacity="{opacity:.2f}"/>'
    )


def bow(x: float, y: float, cx: float, cy: float, dx: float, dy: float) -> str:
    """Returns a path from (x, y) to (x + dx, y + dy) with the control point (x + cx, y + cy)."""
    return f"M{x:.1f} {y:.1f}q{cx:.1f} {cy:.1f} {dx:.1f} {dy:.1f}"


def ring(x: float, y: float, r: float, colour: str, width: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="none" stroke="{colour}" stroke-width="{width:.1f}"/>'


def smooth(points: list[Point]) -> str:
    """Returns the closed quadratic B-spline whose control points are the corners of a polygon."""
    middles = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(points, points[1:] + points[:1], strict=True)]
    start = middles[-1]
    bends = "".join(f"Q{p[0]:.1f} {p[1]:.1f} {m[0]:.1f} {m[1]:.1f}" for p, m in zip(points, middles, strict=True))
    return f"M{start[0]:.1f} {start[1]:.1f}{bends}Z"


def symmetric(half: list[Point], x: float) -> list[Point]:
    """Returns a symmetric polygon from its right half, given from top to bottom as (distance from the axis at x, y)."""
    return [(x + dx, y) for dx, y in half] + [(x - dx, y) for dx, y in reversed(half)]


def moved(body: str, dx: float = 0, dy: float = 0, scale: float = 1, tilt: float = 0, mirror: bool = False) -> str:
    """Scales, mirrors and rotates (degrees) a drawing about the middle of the square, then translates it."""
    middle = UNITS / 2
    across = -scale if mirror else scale
    return (
        f'<g transform="translate({middle + dx:.2f} {middle + dy:.2f}) rotate({tilt:.2f}) '
        f'scale({across:.4f} {scale:.4f}) translate({-middle} {-middle})">{body}</g>'
    )


def gradient(name: str, *stops: tuple[float, str, float], radial: bool = False) -> tuple[str, str]:
    """Returns the definition of a gradient over a shape's bounding box, and the fill that refers to it.

    stops: (offset, colour, opacity). Linear gradients run downwards. `name` must be unique in a drawing.
    """
    inner = "".join(f'<stop offset="{at}" stop-color="{c}" stop-opacity="{o:.2f}"/>' for at, c, o in stops)
    tag = "radialGradient" if radial else "linearGradient"
    lines = "" if radial else ' x1="0" y1="0" x2="0" y2="1"'
    return f'<{tag} id="{name}"{lines}>{inner}</{tag}>', f"url(#{name})"


def sky(top: str, bottom: str) -> str:
    """Fills the whole square with a vertical gradient between two colours such as "#96c4ec"."""
    definition, fill = gradient(f"sky{top[1:]}{bottom[1:]}", (0, top, 1), (1, bottom, 1))
    return definition + rect(-UNITS, -UNITS, 3 * UNITS, 3 * UNITS, bottom) + rect(-64, 0, UNITS + 128, UNITS, fill)


def shadowed(body: str) -> str:
    """Adds a soft shadow to the lower right of a drawing."""
    blur = '<feDropShadow dx="5" dy="8" stdDeviation="6" flood-color="#000" flood-opacity="0.35"/>'
    return f'<filter id="shadow">{blur}</filter><g filter="url(#shadow)">{body}</g>'


def _listed(points: list[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


# ------------------------------------------------------------------------------------------------------------- pixels


def rasterise(body: str, size: int) -> np.ndarray:
    """Renders an opaque SVG fragment in 256 x 256 units as RGB in 0 … 1, (size, size, 3)."""
    for factor in (1, 3):  # resvg 0.48 can panic on an icon's filter at a subpixel size; a larger rendering avoids it
        try:
            rgb = _resvg(body, factor * size)
        except BaseException as error:  # a Rust panic is not an Exception
            if type(error).__name__ != "PanicException" or factor == 3:
                raise
        else:
            break
    return rgb.reshape(size, factor, size, factor, 3).mean((1, 3))


def _resvg(body: str, size: int) -> np.ndarray:
    import resvg_py

    svg = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{size}" \
height="{size}" viewBox="0 0 {UNITS} {UNITS}">{body}</svg>'
    png = resvg_py.svg_to_bytes(svg_string=svg)
    return np.asarray(Image.open(BytesIO(bytes(png))).convert("RGB"), dtype=np.float32) / 255
