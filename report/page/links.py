"""Checks the finished page: links, fragments and images resolve inside the site, ids are unique, and the page contains
nothing that its Content-Security-Policy forbids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

POINTERS = ("for", "aria-labelledby", "aria-describedby", "aria-controls")


def anchor(name: str) -> str:
    """The part of an id that names a section or a figure: dots become underscores, because CSS would misread dots.

    >>> anchor("1.7.2")
    '1_7_2'
    """
    return name.replace(".", "_")


def section_of_anchor(address: str) -> str | None:
    """Returns the section to which a fragment of the page belongs, by its name; None for all others.

    >>> section_of_anchor("#fig-1_7_2-inpaint")
    '1.7.2'
    """
    found = re.match(r"#(?:sec|fig)-([0-9]+(?:_[0-9]+)*)", address)
    return found[1].replace("_", ".") if found else None


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))


@lru_cache(maxsize=4)  # of a page that is checked, weighed, and linked to by others
def elements(html: str) -> list[tuple[str, dict[str, str]]]:
    """Returns the start tags of a page in their order, each with its attributes."""
    reader = _Reader()
    reader.feed(html)
    return reader.elements


def _forbidden(tag: str, own: Mapping[str, str]) -> list[str]:
    """Returns what the policy forbids of an element: inline style and script, but not data, which is not executed."""
    runs = tag == "script" and "src" not in own and own.get("type") != "application/ld+json"
    inline = [f'{name}="{value}"' for name, value in own.items() if name == "style" or name.startswith("on")]
    return ([f"<{tag}>"] if tag == "style" or runs else []) + inline


def offers(srcset: str) -> list[list[str]]:
    """Returns the offers of a srcset, each an address and perhaps a width."""
    return [offer.split() for offer in srcset.split(",") if offer.strip()]


def _targets(html: str) -> set[str]:
    """Returns what a fragment can name: the ids of a page, and its top."""
    return {"top"} | {own["id"] for _, own in elements(html) if "id" in own}


def broken(html: str, site: Path) -> list[tuple[str, str]]:
    """Returns (the offending text, what is wrong) for each fault of a page in `site`."""
    page = elements(html)
    targets, others = _targets(html), dict[Path, set[str]]()
    named = [own["id"] for _, own in page if "id" in own]
    ids = Counter(named)
    pointers = [each for _, own in page for name in POINTERS for each in own.get(name, "").split()]
    found = [(name, f"the id {name!r} appears twice") for name, count in sorted(ids.items()) if count > 1]
    found += [(name, f"a label points to {name!r}, which does not exist") for name in pointers if name not in ids]
    for text in (text for tag, own in page for text in _forbidden(tag, own)):
        found.append((text, f"{text} in the page: its Content-Security-Policy forbids that"))
    loads: list[str] = []
    links: list[str] = []
    for _, own in page:
        loads += [offer[0] for offer in offers(own.get("srcset", ""))] + ([own["src"]] if "src" in own else [])
        if "href" in own:
            (loads if own.get("rel") in ("stylesheet", "icon") else links).append(own["href"])
    for address in dict.fromkeys(loads + links):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            if address in loads:
                found.append((address, f"{address} would be loaded from another host"))
        elif address.startswith("/"):
            found.append((address, f"{address}: use a relative address, since the page may be served from a sub-path"))
        elif ".." in PurePosixPath(unquote(parts.path)).parts:
            found.append((address, f"{address} leads out of the site: link inside it or to an https address"))
        elif parts.path and not (site / unquote(parts.path)).exists():
            found.append((address, f"{address} leads nowhere: the site has no such file"))
        elif parts.path:
            target = site / unquote(parts.path)
            if parts.fragment and target.suffix == ".html":
                if target not in others:
                    others[target] = _targets(target.read_text(encoding="utf-8"))
                if unquote(parts.fragment) not in others[target]:
                    found.append((address, f"{address} leads nowhere: no element of {parts.path} has that id"))
        elif unquote(parts.fragment) not in targets:
            found.append((address, f"{address} leads nowhere: no element of the page has that id"))
    return found
