"""How to cite the report, after report/report.toml, and apart from it the software, after CITATION.cff.

CITATION.cff describes the software. Its last block, `preferred-citation`, is the report's; `report site` writes it.
"""

from __future__ import annotations

import re
from calendar import month_name
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from generators.records import files
from generators.records.errors import CitationError
from generators.settings import Author, Settings

FILE = "CITATION.cff"
PREFERRED = "preferred-citation"


@dataclass(frozen=True)
class Citation:
    """The citation in parts; `url` is the published address, ending in a slash, or empty.

    bibtex: entries of the report and of the software. authors: of the report, (Person or Organization, name) pairs.
    version, license: of the software; license is an SPDX identifier. repository: its URL, or empty.
    """

    bibtex: str
    url: str
    authors: tuple[tuple[str, str], ...]
    published: date
    version: str
    license: str
    repository: str

    @property
    def date(self) -> str:
        """The date as readers write it: 22 November 2026."""
        return f"{self.published.day} {month_name[self.published.month]} {self.published.year}"


def read_citation(path: Path, settings: Settings) -> Citation:
    """Returns the citation of the report and of the software in CITATION.cff. Raises CitationError."""
    software = _software(path)
    url = settings.url.rstrip("/")
    authors = [_cff(author) for author in settings.authors]
    report = {
        "title": f"{{{settings.title}}}",
        "author": " and ".join(map(_bibtex, authors)),
        "year": str(settings.date.year),
        "note": settings.course,
        **({"url": url} if url else {}),
    }
    try:
        version, license = str(software["version"]), str(software["license"])
        drawn_by = {
            "title": f"{{{software['title']}}}",
            "author": " and ".join(map(_bibtex, software["authors"])),
            "year": str(software["date-released"])[:4],
            "version": version,
        }
    except KeyError as error:
        raise CitationError(f"{error.args[0]!r} is missing; the page cites the software by it") from None
    except (TypeError, AttributeError):
        raise CitationError("not a citation file; see https://citation-file-format.github.io") from None
    name = re.sub(r"[^a-z0-9]+", "-", settings.title.lower()).strip("-") or "report"
    return Citation(
        bibtex=f"{_entry('misc', name, report)}\n\n{_entry('software', 'diffusion-report', drawn_by)}",
        url=f"{url}/" if url else "",
        authors=tuple(map(_named, settings.authors)),
        published=settings.date,
        version=version,
        license=license,
        repository=settings.repository,
    )


def outdated(root: Path, settings: Settings) -> str | None:
    """Returns the text that CITATION.cff should have; None if it has it, or if there is no file."""
    if not (root / FILE).is_file():
        return None
    text = (root / FILE).read_text(encoding="utf-8")
    cited = {
        "type": "report",
        "title": settings.title,
        "authors": [_cff(author) for author in settings.authors],
        "date-published": settings.date,
        "notes": settings.course,
        **({"url": settings.url} if settings.url else {}),
        **({"repository-code": settings.repository} if settings.repository else {}),
    }
    own = re.split(rf"(?m)^{PREFERRED}:", text)[0]
    block = yaml.safe_dump({PREFERRED: cited}, sort_keys=False, allow_unicode=True, width=1000)
    wanted = f"{own.rstrip()}\n{block}"
    return None if wanted == text else wanted


def update(root: Path, settings: Settings) -> None:
    """Writes the report's block of CITATION.cff if it is outdated."""
    if text := outdated(root, settings):
        files.write(root / FILE, text)


def _software(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CitationError("the file is missing; the page's citation of the software comes from it") from None
    except yaml.YAMLError:
        raise CitationError("not a citation file; see https://citation-file-format.github.io") from None


def _entry(kind: str, name: str, fields: Mapping[str, str]) -> str:
    lines = "".join(f"  {field:8}= {{{text}}},\n" for field, text in fields.items())
    return f"@{kind}{{{name},\n{lines}}}"


def _cff(author: Author) -> dict[str, str]:
    """Returns an author as CITATION.cff writes one."""
    return author.model_dump(by_alias=True, exclude_none=True)


def _bibtex(author: Mapping[str, str]) -> str:
    """Formats persons as family name, given names; others in braces, which BibTeX keeps whole."""
    if "family-names" in author:
        return ", ".join(_given([author["family-names"], author.get("given-names")]))
    return f"{{{author['name']}}}"


def _named(author: Author) -> tuple[str, str]:
    if author.name:
        return "Organization", author.name
    return "Person", " ".join(_given([author.given_names, author.family_names]))


def _given(names: Iterable[str | None]) -> list[str]:
    return [name for name in names if name]
