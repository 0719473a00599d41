"""What the finished page may weigh, counted from its files when it is built.

"Before scrolling" is what a browser must fetch to show the page: itself, its style, script and fonts, and the images
that do not wait to be scrolled to. "Scrolled through" adds all others, each in the best form that a browser would
choose, on a screen of two device pixels a CSS pixel; what a loupe or the lightbox then shows larger is not counted.
"""

from __future__ import annotations

import math
from html.parser import HTMLParser
from pathlib import Path

FIRST, WHOLE = 500_000, 2_500_000
SCRIPT = 7_500  # what it is spent on stands in report/decisions.md
DENSITY = 2  # device pixels a CSS pixel


class _Loads(HTMLParser):
    """The files that the page loads: at once, and when scrolled to."""

    def __init__(self) -> None:
        super().__init__()
        self.first: set[str] = set()
        self.later: set[str] = set()
        self.scripts: set[str] = set()
        self.chosen = ""  # what the <source> elements of the picture at hand offer first

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "picture":
            self.chosen = ""
        elif tag == "source" and not self.chosen:
            self.chosen = _chosen(found.get("srcset", ""), found.get("sizes", ""))
        elif tag == "img":
            (self.later if found.get("loading") == "lazy" else self.first).add(self.chosen or found.get("src", ""))
            self.chosen = ""
        elif tag == "script" and "src" in found:
            self.scripts.add(found["src"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon"):
            self.first.add(found.get("href", ""))


def weigh(html: str, site: Path) -> dict[str, int]:
    """Bytes before scrolling, scrolled through, and of script, of a page that lies in `site`."""
    loads = _Loads()
    loads.feed(html)
    script = _size(loads.scripts, site)
    fonts = sum(path.stat().st_size for path in site.glob("static/*.woff2"))
    first = len(html.encode()) + script + fonts + _size(loads.first, site)
    return {"first": first, "whole": first + _size(loads.later - loads.first, site), "script": script}


def broken(html: str, site: Path) -> list[str]:
    """What is wrong, for each budget that a page does not keep to."""
    found = weigh(html, site)
    lines = (
        ("first", FIRST, "before scrolling", "make the first images load lazily, or cut fonts"),
        ("whole", WHOLE, "scrolled through", "draw fewer or smaller panels"),
        ("script", SCRIPT, "of script", "shorten templates/static/page.js"),
    )
    return [
        f"the page has {math.ceil(found[name] / 100) / 10} KB {what}, more than {limit // 1000} KB; {advice}"
        for name, limit, what, advice in lines
        if found[name] > limit
    ]


def _chosen(srcset: str, sizes: str) -> str:
    """The file of a srcset that such a screen takes: the narrowest that has its pixels, or else the widest."""
    offers = [offer.split() for offer in srcset.split(",") if offer.strip()]
    widths = sorted((int(width[0][:-1]) if width else 0, address) for address, *width in offers)
    needed = DENSITY * int(sizes.removesuffix("px") or 0)
    wide_enough = [address for width, address in widths if width >= needed]
    return wide_enough[0] if wide_enough else widths[-1][1] if widths else ""


def _size(addresses: set[str], site: Path) -> int:
    paths = {site / address.partition("?")[0] for address in addresses}
    return sum(path.stat().st_size for path in paths if path.is_file())
