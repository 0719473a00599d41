"""What `report verify` found, as text beside the records in the site: site/verified/<section>.json.

A verification speaks of one record, whose digest it carries. When that record changes, by a new drawing for example, it
is void: neither the page nor publishing knows it any more.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "verified"
FORMAT = 1
IDENTICAL, CLOSE, DIFFERS = "identical", "within tolerance", "differs"

# "Within tolerance" allows for floating point only, which other processors and thread counts round otherwise: no value
# of a pixel is off by more than LARGEST of 255, and the mean square difference is at most one step (48.1 dB).
LARGEST = 8
PSNR = 48.1

# Words for readers and the duration of one run. A verification covers the rest of a record but for its source's place.
_WORDS = {"title", "words", "caption", "label", "alt", "row", "seconds"}


@dataclass(frozen=True)
class PanelResult:
    """On one panel: its kind, the largest difference of a value (0 … 255), and the PSNR in dB, None where infinite."""

    kind: str
    largest: int | None = 0
    psnr: float | None = None


@dataclass(frozen=True)
class Mark:
    """What the page says of a figure: whether it holds, the word to see, and the sentence behind it."""

    holds: bool
    word: str
    sentence: str


def subject(record: Mapping[str, Any]) -> str:
    """The digest of what a verification speaks of: the record without its words and durations."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(item) for name, item in value.items() if name not in _WORDS}
        return [kept(item) for item in value] if isinstance(value, list) else value

    text = json.dumps({**kept(record), "source": "", "figures": kept(record["figures"])}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def path_of(site: Path, section_id: str) -> Path:
    return site / FOLDER / f"{section_id}.json"


def read(site: Path, record: Path) -> dict[str, Any] | None:
    """The verification in `site` that speaks of the record in this file; None where there is none, or it is void."""
    try:
        spoken_of = json.loads(record.read_text(encoding="utf-8"))
        found = json.loads(path_of(site, spoken_of["id"]).read_text(encoding="utf-8"))
        whole = found["format"] == FORMAT and found["subject"] == subject(spoken_of)
        for figure in spoken_of["figures"]:
            whole = whole and len(results(found, figure["name"])) == len(figure["panels"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if whole else None


def write(site: Path, section_id: str, content: Mapping[str, Any]) -> None:
    """Sorted text, written beside and put in place by a rename. Raises OSError where the site cannot be written."""
    path = path_of(site, section_id)
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=1, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def results(verification: Mapping[str, Any], figure: str) -> list[PanelResult]:
    """The results on a figure's panels, in their order. Raises KeyError or TypeError where the file is not ours."""
    return [PanelResult(**panel) for panel in verification["figures"][figure]]


def mark(verification: Mapping[str, Any] | None, figure: str) -> Mark | None:
    """What the page says of a figure; None where no verification speaks of it."""
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
    """Verdicts in a few words: 3 identical, 2 within tolerance (at most 1 of 255 off, PSNR at least 62.0 dB)."""
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
