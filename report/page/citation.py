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
    """The citation in parts; `url` is the published address, ending in a slash, or empty.

    authors: (Person or Organization, name) pairs. license: its SPDX identifier. repository: its URL, or empty.
    """

    bibtex: str
    url: str
    authors: tuple[tuple[str, str], ...]
    released: str
    version: str
    license: str
    repository: str

    @property
    def date(self) -> str:
        """The date of release as readers write it: 22 November 2026."""
        year, month, day = map(int, self.released.split("-"))
        return f"{day} {month_name[month]} {year}"


def read_citation(path: Path) -> Citation:
    """Reads the citation from CITATION.cff. Raises CitationError."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        authors = found["authors"]
        released, version = str(found["date-released"]), str(found["version"])
        url = str(found.get("url", "")).rstrip("/")
        fields = {
            "title": f"{{{found['title']}}}",
            "author": " and ".join(map(_bibtex, authors)),
            "year": released[:4],
            "version": version,
            **({"url": url} if url else {}),
        }
        lines = "".join(f"  {name:8}= {{{text}}},\n" for name, text in fields.items())
        citation = Citation(
            bibtex=f"@software{{diffusion-report,\n{lines}}}",
            url=f"{url}/" if url else "",
            authors=tuple(map(_named, authors)),
            released=released,
            version=version,
            license=str(found["license"]),
            repository=str(found.get("repository-code", "")),
        )
    except FileNotFoundError:
        raise CitationError("the file is missing; the page's citation comes from it") from None
    except KeyError as error:
        raise CitationError(f"{error.args[0]!r} is missing; the page's citation needs it") from None
    except (yaml.YAMLError, TypeError, AttributeError):
        raise CitationError("not a citation file; see https://citation-file-format.github.io") from None
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])-\d\d", released):
        raise CitationError(f"date-released: {released!r} is not a date such as 2026-11-22")
    return citation


def _bibtex(author: dict[str, Any]) -> str:
    """Formats persons as family name, given names; others in braces, which BibTeX keeps whole."""
    if "family-names" in author:
        return ", ".join(filter(None, (author["family-names"], author.get("given-names", ""))))
    return f"{{{author['name']}}}"


def _named(author: dict[str, Any]) -> tuple[str, str]:
    if "family-names" in author:
        return "Person", " ".join(filter(None, (author.get("given-names", ""), author["family-names"])))
    return "Organization", author["name"]
