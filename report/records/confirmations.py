"""The ledger of machines: what agreed where, as site/verified/<machine>/<section>.json.

A confirmation says that a section was drawn again (`report verify`), on which machine, and how its panels compare with
the published ones. It holds the digest of what it confirms. When the page gets another drawing, it is void, and the
next build drops it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from generators.records import files
from generators.records.record import parse

from . import agreement
from .agreement import Outcome

FOLDER = "verified"
FORMAT = 2


@dataclass(frozen=True)
class Confirmation:
    """One section drawn again on one machine.

    subject: see `agreement.subject`. when: the date, ISO 8601. where: the fields of `generators.running.session.where`.
    versions: of the libraries. figures: by name.
    """

    id: str
    subject: str
    when: str
    where: Mapping[str, Any]
    versions: Mapping[str, str]
    figures: Mapping[str, Outcome]

    @property
    def machine(self) -> str:
        """The machine as a phrase: "AMD EPYC (AVX-512), 2 threads, torch 2.13.0"."""
        where = self.where
        instructions = f" ({where['instructions']})" if where["instructions"] else ""
        threads = f"{where['threads']} thread{'s' if where['threads'] != 1 else ''}"
        place = f"{where['processor']}{instructions}, {threads}"
        return f"{where['system']}, {place}, {where['device']}, torch {self.versions['torch'].partition('+')[0]}"

    @property
    def path(self) -> Path:
        """Its file in the site: one for each machine and section, so that git merges those of several machines."""
        return Path(FOLDER) / re.sub(r"[^a-z0-9.]+", "-", self.machine.lower()).strip("-") / f"{self.id}.json"

    @property
    def outcome(self) -> Outcome:
        return sum(self.figures.values(), Outcome())


@dataclass(frozen=True)
class Mark:
    """What the page says about a figure: whether all machines came to it, as a flag, and which, in a sentence."""

    holds: bool
    sentence: str


def read(site: Path, record: Mapping[str, Any]) -> list[Confirmation]:
    """Reads the confirmations of a published record; void and damaged ones are left out."""
    found = []
    for path in sorted(site.glob(f"{FOLDER}/*/{record['id']}.json")):
        try:
            raw = parse(path.read_text(encoding="utf-8"))
            figures = {name: Outcome(**outcome) for name, outcome in raw["figures"].items()}
            names = {name: raw[name] for name in ("id", "subject", "when", "where", "versions")}
            confirmation = Confirmation(**names, figures=figures)
            whole = raw["format"] == FORMAT and site / confirmation.path == path
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if whole and confirmation.subject == agreement.subject(record):
            found.append(confirmation)
    return found


def write(site: Path, confirmation: Confirmation) -> None:
    """Writes a confirmation. One of the same machine that says the same stays as it is. Raises OSError."""
    path, content = site / confirmation.path, {"format": FORMAT, **asdict(confirmation)}
    with suppress(OSError, ValueError):
        before = parse(path.read_text(encoding="utf-8"))
        if isinstance(before, dict) and {**before, "when": ""} == {**content, "when": ""}:
            return
    files.write(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def mark(confirmations: Sequence[Confirmation], figure: str) -> Mark | None:
    """Returns what the page says about a figure; None if nobody has drawn it again."""
    if not confirmations:
        return None
    worst = max(confirmations, key=lambda each: (each.figures[figure].differ, each.figures[figure].rounded))
    outcome = worst.figures[figure]
    machines = f"on {len(confirmations)} machines, at worst " if len(confirmations) > 1 else ""
    return Mark(not outcome.differ, f"Drawn again {machines}on {worst.machine}, {worst.when[:10]}: panels {outcome}.")


def machines(confirmations: Iterable[Confirmation]) -> list[tuple[str, Outcome, list[str]]]:
    """Returns, for each machine, its phrase with the dates, the outcome of its sections, and their ids."""
    by_machine: dict[str, list[Confirmation]] = {}
    for confirmation in confirmations:
        by_machine.setdefault(confirmation.machine, []).append(confirmation)
    return [
        (f"{machine}, {_dates(of)}", sum((each.outcome for each in of), Outcome()), [each.id for each in of])
        for machine, of in sorted(by_machine.items())
    ]


def _dates(confirmations: Iterable[Confirmation]) -> str:
    days = sorted({each.when[:10] for each in confirmations})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
