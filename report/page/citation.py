"""The report's citation, read from CITATION.cff so that it exists once."""

from __future__ import annotations

import re
from calendar import month_name
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from generators.records.errors import CitationError


@dataclass(frozen=True)
class Citation:
    """The citation as BibTeX and in parts; `url` is the published address, ending in a slash, or empty.

    authors: (Person or Organization, name) pairs. license: its SPDX identifier.
    """

    bibtex: str
    url: str
    authors: tuple[tuple[str, str], ...]
    released: str
    version: str
    license: str
    repository: str = ""  # its URL, if CITATION.cff has one

    @property
    def date(self) -> str:
        """The date of release as readers write it: 22 November 2026."""
        year, month, day = map(int, self.released.split("-"))
        return f"{day} {month_name[month]} {year}"


def read_citation(path: Path) -> Citation:
    """Reads the citation from CITATION.cff. Raises CitationError."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        authors = " and ".join(_author(author) for author in found["authors"])
        named = tuple(_named(author) for author in found["authors"])
        fields = {
            "title": f"{{{found['title']}}}",
            "author": authors,
            "year": str(found["date-released"])[:4],
            "version": str(found["version"]),
        }
        license_name = str(found["license"])
    except FileNotFoundError:
        raise CitationError("the file is missing; the page's citation comes from it") from None
    except KeyError as error:
        raise CitationError(f"{error.args[0]!r} is missing; the page's citation needs it") from None
    except (yaml.YAMLError, TypeError, AttributeError):
        raise CitationError("not a citation file; see https://citation-file-format.github.io") from None
    released = str(found["date-released"])
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])-\d\d", released):
        raise CitationError(f"date-released: {released!r} is not a date such as 2026-11-22")
    url = str(found.get("url", "")).rstrip("/")
    if url:
        fields["url"] = url
    lines = "".join(f"  {name:8}= {{{text}}},\n" for name, text in fields.items())
    return Citation(
        bibtex=f"@software{{diffusion-report,\n{lines}}}",
        url=f"{url}/" if url else "",
        authors=named,
        released=released,
        version=fields["version"],
        license=license_name,
        repository=str(found.get("repository-code", "")),
    )


def _author(author: dict[str, Any]) -> str:
    """Formats persons as family name, given names; others in braces, which BibTeX keeps whole."""
    if "family-names" in author:
        return ", ".join(filter(None, (author["family-names"], author.get("given-names", ""))))
    return f"{{{author['name']}}}"


def _named(author: dict[str, Any]) -> tuple[str, str]:
    if "family-names" in author:
        return "Person", " ".join(filter(None, (author.get("given-names", ""), author["family-names"])))
    return "Organization", author["name"]
