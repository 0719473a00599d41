"""The results of `report verify`, kept in the site beside the records: site/verified/<section>.json.

A verification holds the digest of the record that it verifies. When that record changes, for example because the
section is drawn again, the verification is void, and the page and `report publish` ignore it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators.records import files
from generators.records.record import parse

FOLDER = "verified"
FORMAT = 1
IDENTICAL, CLOSE, DIFFERS = "identical", "within tolerance", "differs"

# The tolerance only covers rounding differences between processors and thread counts: no pixel value differs by more
# than LARGEST of 255, and the mean squared difference is at most one step, which is a PSNR of 48.1 dB.
LARGEST = 8
PSNR = 48.1

# Texts for readers, the path of the source, durations, and the seal, which covers all of these. A verification covers
# the rest of a record.
_NOT_COVERED = {"title", "source", "words", "caption", "label", "alt", "row", "seconds", "seal"}


@dataclass(frozen=True)
class PanelResult:
    """The result for one panel.

    kind: IDENTICAL, CLOSE or DIFFERS. largest: the largest difference of a value, 0 … 255; None if the images could not
    be compared. psnr: in dB; None if it is infinite or the images could not be compared.
    """

    kind: str
    largest: int | None = 0
    psnr: float | None = None


@dataclass(frozen=True)
class Mark:
    """What the page says about a figure: whether it was reproduced, as a flag and in one sentence."""

    holds: bool
    sentence: str


def subject(record: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of the part of a record that a verification covers: all but texts, durations and the seal."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(item) for name, item in value.items() if name not in _NOT_COVERED}
        return [kept(item) for item in value] if isinstance(value, list) else value

    # `depends` is covered as a whole: its `source` is a digest of the code, not a path.
    text = json.dumps(
        {**kept(record), "depends": record["depends"], "figures": kept(record["figures"])}, sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()


def path_of(site: Path, section_id: str) -> Path:
    """Returns the file of a section's verification."""
    return site / FOLDER / f"{section_id}.json"


def read(site: Path, record: Path) -> dict[str, Any] | None:
    """Reads the verification in `site` of the record in this file; None if it is missing, void or damaged."""
    try:
        verified = parse(record.read_text(encoding="utf-8"))
        found = parse(path_of(site, verified["id"]).read_text(encoding="utf-8"))
        whole = found["format"] == FORMAT and found["subject"] == subject(verified)
        for figure in verified["figures"]:
            whole = whole and len(results(found, figure["name"])) == len(figure["panels"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if whole else None


def write(site: Path, section_id: str, content: Mapping[str, Any]) -> None:
    """Writes a section's verification as sorted JSON. Raises OSError if the site is not writable."""
    files.write(path_of(site, section_id), json.dumps(content, indent=1, sort_keys=True) + "\n")


def results(verification: Mapping[str, Any], figure: str) -> list[PanelResult]:
    """Returns the results for a figure's panels, in order. Raises KeyError or TypeError if they are damaged."""
    return [PanelResult(**panel) for panel in verification["figures"][figure]]


def mark(verification: Mapping[str, Any] | None, figure: str) -> Mark | None:
    """Returns what the page says about a figure; None if there is no verification."""
    if verification is None:
        return None
    found = results(verification, figure)
    where = verification["where"]
    # Verifications of earlier versions do not name the processor.
    more = [where[name] for name in ("processor", "instructions") if where.get(name)]
    place = ", ".join([f"{where['system']} {where['machine']}", *more, where["device"]])
    when = f"{verification['when'][:10]} ({place})"
    wrong = sum(result.kind == DIFFERS for result in found)
    if wrong:
        outcome = f"{wrong} of {len(found)} panels differ"
    elif all(result.kind == IDENTICAL for result in found):
        outcome = "every pixel is identical"
    else:
        outcome = summary(found)
    return Mark(not wrong, f"Drawn again on {when}: {outcome}.")


def summary(found: Sequence[PanelResult]) -> str:
    """Summarises results: "3 identical, 2 within tolerance (at most 1 of 255 off, PSNR at least 62.0 dB)"."""
    parts = []
    for kind in (IDENTICAL, CLOSE, DIFFERS):
        of_kind = [result for result in found if result.kind == kind]
        if of_kind:
            pairs = [(result.largest, result.psnr) for result in of_kind]
            measured = [(largest, psnr) for largest, psnr in pairs if largest is not None and psnr is not None]
            worst = ""
            if measured:
                largest, psnr = max(largest for largest, _ in measured), min(psnr for _, psnr in measured)
                worst = f" (at most {largest} of 255 off, PSNR at least {psnr:.1f} dB)"
            name = "differ" if kind == DIFFERS and len(of_kind) > 1 else kind
            parts.append(f"{len(of_kind)} {name}{worst}")
    return ", ".join(parts)
