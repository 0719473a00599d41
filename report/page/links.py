"""Checks the finished page: links, fragments and images resolve inside the site, ids are unique, and the page contains
nothing that its Content-Security-Policy forbids."""

from __future__ import annotations

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


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.pointers: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.forbidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        data = dict(attrs).get("type") == "application/ld+json"  # not executed, so the policy does not apply
        if tag == "style" or (tag == "script" and not data and not any(name == "src" for name, _ in attrs)):
            self.forbidden.append(f"<{tag}>")
        for name, value in attrs:
            value = value or ""
            if name == "style" or name.startswith("on"):
                self.forbidden.append(f'{name}="{value}"')
            if name == "id":
                self.ids.append(value)
            elif name in POINTERS:
                self.pointers += value.split()
            elif name == "srcset":
                self.loads += [part.split()[0] for part in value.split(",") if part.split()]
            elif name == "src" or (name == "href" and dict(attrs).get("rel") in ("stylesheet", "icon")):
                self.loads.append(value)
            elif name == "href":
                self.links.append(value)


def broken(html: str, site: Path) -> list[tuple[str, str]]:
    """Returns (the offending text, what is wrong) for each fault of a page in `site`."""
    page = _Reader()
    page.feed(html)
    ids = set(page.ids)
    found = [(name, f"the id {name!r} appears twice") for name in sorted(ids) if page.ids.count(name) > 1]
    found += [(name, f"a label points to {name!r}, which does not exist") for name in page.pointers if name not in ids]
    found += [(text, f"{text} in the page: its Content-Security-Policy forbids that") for text in page.forbidden]
    for address in dict.fromkeys(page.loads + page.links):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            if address in page.loads:
                found.append((address, f"{address} would be loaded from another host"))
        elif address.startswith("/"):
            found.append((address, f"{address}: use a relative address, since the page may be served from a sub-path"))
        elif ".." in PurePosixPath(unquote(parts.path)).parts:
            found.append((address, f"{address} leads out of the site: link inside it or to an https address"))
        elif parts.path and not (site / unquote(parts.path)).exists():
            found.append((address, f"{address} leads nowhere: the site has no such file"))
        elif not parts.path and unquote(parts.fragment) not in ids | {"top"}:
            found.append((address, f"{address} leads nowhere: no element of the page has that id"))
    return found
