"""The free vector icons that pocket learns from: things drawn by several hands.

icons.json.gz holds those of the names in data.py, taken from npm packages by `python -m generators.pocket.icons`, so
that training needs no package. Sources and licences: MODEL_CARD.md.
"""

import gzip
import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .vectors import chance

PACKAGES = {  # npm packages of the scope @iconify-json, a hand each: version pinned
    "fluent-emoji-flat": "1.2.6",
    "fluent-emoji": "1.2.7",
    "noto": "1.2.9",
    "noto-v1": "1.2.5",
    "emojione": "1.2.3",
    "twemoji": "1.2.5",
}
HELD_OUT = "twemoji"  # the hand that neither pocket nor its judges ever train on
HANDS = tuple(hand for hand in PACKAGES if hand != HELD_OUT)
FILE = Path(__file__).with_name("icons.json.gz")


@cache
def _icons() -> dict[str, Any]:
    return json.loads(gzip.decompress(FILE.read_bytes()))


def icon_set(package: str) -> dict[str, Any]:
    """The icons of a hand: their `width` in units of their own, and `icons`, {key: {"body": SVG fragment, …}}."""
    return _icons()[package]


def has(key: str, package: str) -> bool:
    """Whether the hand has drawn that thing."""
    return key in icon_set(package)["icons"]


def icon(key: str, package: str, x: float, y: float, size: float, mirror: bool = False, tilt: float = 0) -> str:
    """The icon of that key as an SVG fragment, `size` units wide, its middle at (x, y), turned by `tilt` degrees.

    Raises KeyError where the hand has not drawn it.
    """
    icons = icon_set(package)
    entry = icons["icons"][key]
    side = entry.get("width", icons["width"])
    scale = size / side
    # Whole units: resvg 0.48 can fail on an icon's own filters at fractions of a pixel.
    return (
        f'<g transform="translate({round(x)} {round(y)}) rotate({tilt:.1f}) '
        f'scale({-scale if mirror else scale:.5f} {scale:.5f}) translate({-side / 2} {-side / 2})">{entry["body"]}</g>'
    )


def any_icon(rng: np.random.Generator, key: str, x: float, y: float, size: float, tilt: float = 0) -> str:
    """The icon by one of HANDS, its middle at (x, y), half of the time mirrored."""
    hands = [hand for hand in HANDS if has(key, hand)]
    # The filters of this one take ten times as long as all else.
    odds = np.array([0.15 if hand == "fluent-emoji" else 1.0 for hand in hands])
    hand = hands[rng.choice(len(hands), p=odds / odds.sum())]
    return icon(key, hand, x, y, size, mirror=chance(rng, 0.5), tilt=tilt)


def collect() -> None:
    """Make FILE anew from the npm packages. Raises CalledProcessError when npm fails."""
    from . import data

    keys = sorted({*data.NOUNS.values(), "ewe", "high-voltage"})
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        wanted = [f"@iconify-json/{name}@{version}" for name, version in PACKAGES.items()]
        subprocess.run(["npm", "install", "--no-save", "--prefix", folder, *wanted], check=True)
        for name in PACKAGES:
            whole = json.loads((Path(folder) / "node_modules" / "@iconify-json" / name / "icons.json").read_text())
            some = {key: whole["icons"][key] for key in keys if key in whole["icons"]}
            found[name] = {"width": whole.get("width", 16), "icons": some}
    text = json.dumps(found, ensure_ascii=False, sort_keys=True)
    FILE.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    collect()
