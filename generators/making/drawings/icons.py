"""The free vector icons of pocket's training: things drawn by several hands (icon sets).

icons.json.gz holds the icons of the names in names.py, extracted from npm packages by `python -m
generators.making.drawings.icons`, so training needs no package. Sources and licences: MODEL_CARD.md.
"""

import gzip
import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .names import NOUNS
from .vectors import chance

PACKAGES = {  # npm packages of the scope @iconify-json, one hand each, with pinned versions
    "fluent-emoji-flat": "1.2.6",
    "fluent-emoji": "1.2.7",
    "noto": "1.2.9",
    "noto-v1": "1.2.5",
    "emojione": "1.2.3",
    "twemoji": "1.2.5",
}
HELD_OUT = "twemoji"  # the hand that neither pocket nor its judges train on
HANDS = tuple(hand for hand in PACKAGES if hand != HELD_OUT)
FILE = Path(__file__).with_name("icons.json.gz")


@cache
def _icons() -> dict[str, Any]:
    return json.loads(gzip.decompress(FILE.read_bytes()))


def icon_set(package: str) -> dict[str, Any]:
    """Returns the icons of a hand: their `width` in their own units, and `icons`, {key: {"body": SVG fragment, …}}."""
    return _icons()[package]


def has(key: str, package: str) -> bool:
    """Whether the hand has an icon of this key."""
    return key in icon_set(package)["icons"]


def icon(key: str, package: str, x: float, y: float, size: float, mirror: bool = False, tilt: float = 0) -> str:
    """Returns the icon of that key as an SVG fragment, `size` units wide, centred at (x, y), turned by `tilt` degrees.

    Raises KeyError if the hand has no such icon.
    """
    icons = icon_set(package)
    entry = icons["icons"][key]
    side = entry.get("width", icons["width"])
    scale = size / side
    # Whole units, because resvg 0.48 can fail on an icon's filters at fractional pixels.
    return (
        f'<g transform="translate({round(x)} {round(y)}) rotate({tilt:.1f}) '
        f'scale({-scale if mirror else scale:.5f} {scale:.5f}) translate({-side / 2} {-side / 2})">{entry["body"]}</g>'
    )


def any_icon(rng: np.random.Generator, key: str, x: float, y: float, size: float, tilt: float = 0) -> str:
    """Returns the icon by a random hand of HANDS, centred at (x, y), mirrored half of the time."""
    hands = [hand for hand in HANDS if has(key, hand)]
    # The filters of fluent-emoji take ten times as long as everything else.
    odds = np.array([0.15 if hand == "fluent-emoji" else 1.0 for hand in hands])
    hand = hands[rng.choice(len(hands), p=odds / odds.sum())]
    return icon(key, hand, x, y, size, mirror=chance(rng, 0.5), tilt=tilt)


def collect() -> None:
    """Rebuilds FILE from the npm packages. Raises CalledProcessError if npm fails."""
    keys = sorted({*NOUNS.values(), "ewe", "high-voltage"})
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
