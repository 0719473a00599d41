"""Limits on the page's weight, counted from its files during the build.

"First" is what a browser fetches to complete the first screen: HTML, style, script, fonts, and the images that are not
lazy. "In all" adds the others, each in the best format a browser would choose at two device pixels per CSS pixel. They
load once the first screen is complete, or, where the reader saves data, at scrolling. What the loupe or the lightbox
loads later is not counted. HTML, style and script count as gzip compresses them, because that is how hosts send them.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable
from pathlib import Path

from report.page.links import elements, offers

FIRST, WHOLE = 300_000, 2_500_000
SCRIPT = 7_700  # bytes, uncompressed; see report/decisions.md
DENSITY = 2  # device pixels per CSS pixel


def weigh(html: str, site: Path) -> dict[str, int]:
    """Returns the bytes of the first screen, of all, and of script (uncompressed), of a page in `site`."""
    first: set[str] = set()
    later: set[str] = set()
    scripts: set[str] = set()
    chosen = ""  # the first offer of the current picture's <source> elements
    for tag, own in elements(html):
        if tag == "picture":
            chosen = ""
        elif tag == "source" and not chosen:
            chosen = _chosen(own.get("srcset", ""), own.get("sizes", ""))
        elif tag == "img":
            (later if own.get("loading") == "lazy" else first).add(chosen or own.get("src", ""))
            chosen = ""
        elif tag == "script" and "src" in own:
            scripts.add(own["src"])
        elif tag == "link" and own.get("rel") in ("stylesheet", "icon"):
            first.add(own.get("href", ""))
    fonts = sum(path.stat().st_size for path in site.glob("static/*.woff2"))
    at_once = len(gzip.compress(html.encode())) + fonts + _sent(first | scripts, site)
    script = sum(path.stat().st_size for path in _files(scripts, site))
    return {"first": at_once, "whole": at_once + _sent(later - first, site), "script": script}


def broken(html: str, site: Path) -> list[str]:
    """Returns one line for each budget of the templates that a page exceeds."""
    lines = (
        ("first", FIRST, "to show its first screen", "load the first images lazily, or reduce the fonts"),
        ("script", SCRIPT, "of script", "shorten templates/static/page.js"),
    )
    return _exceeded(weigh(html, site), lines)


def heavy(html: str, site: Path) -> list[str]:
    """Returns a line if the pictures of a page, which only its author can choose, exceed theirs."""
    lines = (("whole", WHOLE, "in all", "fewer or smaller panels would load faster"),)
    return _exceeded(weigh(html, site), lines)


def _exceeded(found: dict[str, int], budgets: Iterable[tuple[str, int, str, str]]) -> list[str]:
    return [
        f"the page has {math.ceil(found[name] / 100) / 10} KB {what}, more than {limit // 1000} KB; {advice}"
        for name, limit, what, advice in budgets
        if found[name] > limit
    ]


def _chosen(srcset: str, sizes: str) -> str:
    """Returns the file of a srcset that such a screen chooses: the narrowest that is wide enough, or else the
    widest."""
    widths = sorted((int(width[0][:-1]) if width else 0, address) for address, *width in offers(srcset))
    needed = DENSITY * int(sizes.removesuffix("px") or 0)
    wide_enough = [address for width, address in widths if width >= needed]
    return wide_enough[0] if wide_enough else widths[-1][1] if widths else ""


def _sent(addresses: set[str], site: Path) -> int:
    """Returns the bytes that a host sends for these addresses."""
    return sum(
        len(gzip.compress(path.read_bytes())) if path.suffix in (".css", ".js") else path.stat().st_size
        for path in _files(addresses, site)
    )


def _files(addresses: set[str], site: Path) -> set[Path]:
    return {path for address in addresses if (path := site / address.partition("?")[0]).is_file()}
