"""The free vector icons that pocket learns from, and vectors to pixels. Needed for training only.

A drawing is an SVG fragment in 256 x 256 units, so that one drawing gives the ground truth of all three stages.
Sources and licences: MODEL_CARD.md.
"""

import json
import subprocess
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

UNITS = 256  # side of the square that a drawing lives in
PACKAGES = {  # npm packages of the scope @iconify-json: version pinned
    "fluent-emoji-flat": "1.2.6",
    "fluent-emoji": "1.2.7",
    "noto": "1.2.9",
    "twemoji": "1.2.5",
}
HELD_OUT = "twemoji"  # the style that neither pocket nor its scorer ever trains on
CACHE = Path(__file__).parents[2] / ".cache" / "icons"


def fetch() -> None:
    """Install the icon packages into `CACHE` with npm. Raises CalledProcessError when npm fails."""
    if all((CACHE / "node_modules" / "@iconify-json" / name).exists() for name in PACKAGES):
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = [f"@iconify-json/{name}@{version}" for name, version in PACKAGES.items()]
    subprocess.run(["npm", "install", "--no-save", "--prefix", str(CACHE), *wanted], check=True)


@cache
def icon_set(package: str) -> dict:
    fetch()
    return json.loads((CACHE / "node_modules" / "@iconify-json" / package / "icons.json").read_text())


def icon(key: str, package: str, x: float, y: float, size: float, mirror: bool = False) -> str:
    """The icon of that key as an SVG fragment whose box is `size` units wide with its upper left corner at (x, y).

    All three are rounded to whole units: resvg 0.48 can fail on an icon's own filters at fractions of a pixel.
    """
    x, y, size = round(x), round(y), round(size)
    icons = icon_set(package)
    entry = icons["icons"][key]
    side = entry.get("width", icons.get("width", 16))
    flip = f"translate({x + size} {y}) scale({-size / side} {size / side})"
    keep = f"translate({x} {y}) scale({size / side})"
    return f'<g transform="{flip if mirror else keep}">{entry["body"]}</g>'


def rasterise(body: str, size: int) -> np.ndarray:
    """An opaque SVG fragment in 256 x 256 units, as RGB in 0 … 1 of shape (size, size, 3)."""
    for factor in (1, 3):  # where an icon's own filter meets a fraction of a pixel resvg 0.48 can panic; not so larger
        try:
            rgb = _resvg(body, factor * size)
        except BaseException as error:  # a Rust panic is no Exception
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


# ------------------------------------------------------------------------------------------------- vector shorthands


def rect(x: float, y: float, w: float, h: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}"/>'


def polygon(points: list[tuple[float, float]], fill: str) -> str:
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="{fill}"/>'


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, opacity: float = 1) -> str:
    return f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" fill="{fill}" opacity="{opacity}"/>'


def sky(top: str, bottom: str) -> str:
    """The whole square in a vertical gradient between two colours such as "#96c4ec"."""
    name = f"sky{top[1:]}{bottom[1:]}"
    stops = f'<stop stop-color="{top}"/><stop offset="1" stop-color="{bottom}"/>'
    gradient = f'<linearGradient id="{name}" x1="0" y1="0" x2="0" y2="1">{stops}</linearGradient>'
    return gradient + rect(0, 0, UNITS, UNITS, f"url(#{name})")


def shadowed(body: str) -> str:
    """A drawing with a soft shadow to its lower right."""
    blur = '<feDropShadow dx="5" dy="8" stdDeviation="6" flood-color="#000" flood-opacity="0.35"/>'
    return f'<filter id="shadow">{blur}</filter><g filter="url(#shadow)">{body}</g>'
