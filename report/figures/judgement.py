"""The judge's verdicts on a model's illusions: generators/<model>/evaluation.json, read while the page is built.

The file identifies the judged weights by digest. Samples of other weights, and models without the file, have no
verdict.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from report.figures.controls import Control
from report.records.record import Figure, Record

EVALUATION = "evaluation.json"
KINDS = {"flip": "anagrams", "distance": "hybrids"}  # control: the evaluation's name for such figures
SEEN = 64  # pixels a side of the judged pictures


class JudgeError(ValueError):
    """An evaluation is unreadable. One line."""


@dataclass(frozen=True)
class Judgement:
    """Verdicts on a figure of samples with two readings each.

    came: (readings, number of samples, their ranks) for each outcome. ranks: by panel number, the rank of the panel's
    own prompt among the judge's prompts; 1 is best.
    """

    came: list[tuple[str, int, str]]
    ranks: dict[int, int]


def judgement(folder: Path, record: Record, figure: Figure, control: Control) -> Judgement | None:
    """Returns the verdicts on a figure from a model's folder; None if it was not judged, or with other weights.

    Raises JudgeError.
    """
    kind = KINDS.get(control.kind)
    rows = [panels for _, panels in figure.rows]
    if not kind or any(panel.width != SEEN for panel in figure.panels):
        return None
    outcomes: dict[str, list[str]] = {}
    ranks: dict[int, int] = {}
    for one, other in zip(*rows, strict=True):
        found = _ranks(folder / EVALUATION, record.digest, kind, control.readings, one.case.get("k"))
        if found is None:
            return None
        ranks |= {one.number: found[0], other.number: found[1]}
        first = [f"“{text}”" for text, rank in zip(control.readings, found, strict=True) if rank == 1]
        outcome = "both readings" if len(first) == 2 else f"only {first[0]}" if first else "neither reading"
        outcomes.setdefault(outcome, []).append(f"{found[0]} and {found[1]}")
    return Judgement([(outcome, len(found), ", ".join(found)) for outcome, found in outcomes.items()], ranks)


def _ranks(path: Path, weights: str, kind: str, readings: Sequence[str], k: Any) -> tuple[int, int] | None:
    """Returns the ranks of a sample's readings, in the readings' order."""
    if not path.is_file():
        return None
    try:
        content = _read(path, path.stat().st_mtime_ns)
        if content["model"]["digest"] != weights:
            return None
        for sample in content[kind]:
            if sample["k"] == k and sorted(sample["prompts"]) == sorted(readings):
                by_prompt = dict(zip(sample["prompts"], sample["ranks"], strict=True))
                return int(by_prompt[readings[0]]), int(by_prompt[readings[1]])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JudgeError(f"not a valid evaluation ({type(error).__name__}: {error}); run `make evaluate`") from None
    return None


@cache
def _read(path: Path, _changed: int) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
