"""The results of `report verify`, kept in the site beside the records: site/verified/<section>.json.

A verification holds the digest of the one record that it is about. When that record changes, for example because the
section is drawn again, the verification is void, and the page and `report publish` ignore it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report.records.record import parse

FOLDER = "verified"
FORMAT = 1
IDENTICAL, CLOSE, DIFFERS = "identical", "within tolerance", "differs"

# The tolerance covers only differences in rounding between processors and thread counts: no value of a pixel differs by
# more than LARGEST of 255, and the mean square difference is at most one step, which is a PSNR of 48.1 dB.
LARGEST = 8
PSNR = 48.1

# Words for readers, the path of the source, the duration of one run, and the seal, which covers all of these. A
# verification covers the rest of a record.
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
    """What the page says about a figure: whether it was reproduced, in one word, and in one sentence."""

    holds: bool
    word: str
    sentence: str


def subject(record: Mapping[str, Any]) -> str:
    """The SHA-256 of the part of a record that a verification is about: all but texts, durations and the seal."""

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
    """The file of a section's verification."""
    return site / FOLDER / f"{section_id}.json"


def read(site: Path, record: Path) -> dict[str, Any] | None:
    """The verification in `site` of the record in this file; None if there is none, or it is void or damaged."""
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
    """Write a section's verification as sorted JSON. Raises OSError if the site cannot be written."""
    path = path_of(site, section_id)
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=1, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def results(verification: Mapping[str, Any], figure: str) -> list[PanelResult]:
    """The results for a figure's panels, in order. Raises KeyError or TypeError if the verification is damaged."""
    return [PanelResult(**panel) for panel in verification["figures"][figure]]


def mark(verification: Mapping[str, Any] | None, figure: str) -> Mark | None:
    """What the page says about a figure; None if there is no verification."""
    if verification is None:
        return None
    found = results(verification, figure)
    where = verification["where"]
    when = f"{verification['when'][:10]} ({where['system']} {where['machine']}, {where['device']})"
    wrong = sum(result.kind == DIFFERS for result in found)
    if wrong:
        return Mark(False, "Not reproduced", f"Drawn again on {when}: {wrong} of {len(found)} panels differ.")
    if all(result.kind == IDENTICAL for result in found):
        return Mark(True, "Verified", f"Drawn again on {when}: every pixel is identical.")
    return Mark(True, "Verified", f"Drawn again on {when}: {summary(found)}.")


def summary(found: Sequence[PanelResult]) -> str:
    """Results in a few words: 3 identical, 2 within tolerance (at most 1 of 255 off, PSNR at least 62.0 dB)."""
    parts = []
    for kind in (IDENTICAL, CLOSE, DIFFERS):
        of_kind = [result for result in found if result.kind == kind]
        if of_kind:
            measured = [result for result in of_kind if result.largest is not None and result.psnr is not None]
            worst = ""
            if measured:
                largest = max(result.largest or 0 for result in measured)
                psnr = min(result.psnr or 0 for result in measured)
                worst = f" (at most {largest} of 255 off, PSNR at least {psnr:.1f} dB)"
            name = "differ" if kind == DIFFERS and len(of_kind) > 1 else kind
            parts.append(f"{len(of_kind)} {name}{worst}")
    return ", ".join(parts)
