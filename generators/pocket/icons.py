"""The free vector icons that pocket learns from: named drawings of several hands. Needed for training only.

Sources and licences: MODEL_CARD.md.
"""

import json
import subprocess
from functools import cache
from pathlib import Path

import numpy as np

from .vectors import UNITS, chance

PACKAGES = {  # npm packages of the scope @iconify-json: version pinned
    "fluent-emoji-flat": "1.2.6",
    "fluent-emoji": "1.2.7",
    "noto": "1.2.9",
    "noto-v1": "1.2.5",
    "emojione": "1.2.3",
    "twemoji": "1.2.5",
}
HANDS = ("noto", "noto-v1", "emojione", "fluent-emoji-flat", "fluent-emoji")  # in the order in which icons are found
HELD_OUT = "twemoji"  # the hand that neither pocket nor its judges ever train on
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


def has(key: str, package: str) -> bool:
    """Whether the package has an icon of that key."""
    return key in icon_set(package)["icons"]


def icon(key: str, package: str, x: float, y: float, size: float, mirror: bool = False, tilt: float = 0) -> str:
    """The icon of that key as an SVG fragment, `size` units wide, its middle at (x, y), turned by `tilt` degrees.

    Raises KeyError where the package has no such icon.
    """
    icons = icon_set(package)
    entry = icons["icons"][key]
    side = entry.get("width", icons.get("width", 16))
    scale = size / side
    # Whole units: resvg 0.48 can fail on an icon's own filters at fractions of a pixel.
    return (
        f'<g transform="translate({round(x)} {round(y)}) rotate({tilt:.1f}) '
        f'scale({-scale if mirror else scale:.5f} {scale:.5f}) translate({-side / 2} {-side / 2})">{entry["body"]}</g>'
    )


def centred(key: str, package: str) -> str:
    """The icon over nearly the whole square."""
    return icon(key, package, UNITS / 2, UNITS / 2, 232)


def any_icon(rng: np.random.Generator, key: str, x: float, y: float, size: float, tilt: float = 0) -> str:
    """The icon by one of its hands, its middle at (x, y), half of the time mirrored."""
    hands = [hand for hand in HANDS if has(key, hand)]
    # The last one's filters take ten times as long as all else.
    odds = np.array([0.15 if hand == "fluent-emoji" else 1.0 for hand in hands])
    hand = hands[rng.choice(len(hands), p=odds / odds.sum())]
    return icon(key, hand, x, y, size, mirror=chance(rng, 0.5), tilt=tilt)
