"""The judge's verdicts on a model's illusions: generators/models/<model>/illusions.json, read while the page is built.

The file identifies the judged weights by digest. Samples of other weights, and models without the file, have no
verdict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators.records.errors import JudgeError
from generators.records.record import Figure, Record

ILLUSIONS = "illusions.json"
SEEN = 64  # pixels a side of the judged pictures


@dataclass(frozen=True)
class Judgement:
    """Verdicts on a figure of samples with one or more readings each.

    verdicts: (outcome, number of samples, their ranks) for each outcome. ranks: by panel number, the rank of the
    panel's own prompt among the judge's prompts; 1 is best.
    """

    verdicts: list[tuple[str, int, str]]
    ranks: dict[int, int]


def judgement(folder: Path, record: Record, figure: Figure) -> Judgement | None:
    """Returns the verdicts on a figure from a model's folder; None if it was not judged, or with other weights.

    Raises JudgeError.
    """
    path = folder / ILLUSIONS
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["model"]["digest"] != record.digest:
            return None
        return _verdicts([sample for sample in content["samples"] if sample["figure"] == figure.id], figure)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JudgeError(f"not a valid judgement ({type(error).__name__}: {error}); run `make evaluate`") from None


def _verdicts(samples: Sequence[Mapping[str, Any]], figure: Figure) -> Judgement | None:
    """Returns the verdicts on a figure; None unless these are its samples."""
    outcomes: dict[str, list[str]] = {}
    ranks: dict[int, int] = {}
    panels = {(panel.case.get("k"), panel.case.get("show")): panel for panel in figure.panels}
    for sample in samples:
        own = [int(rank) for rank in sample["ranks"]]
        for show, prompt, rank in zip(sample["shows"], sample["prompts"], own, strict=True):
            panel = panels.get((sample["k"], show))
            if panel is None or panel.case.get(show) != prompt or panel.width != SEEN:
                return None
            ranks[panel.number] = rank
        outcomes.setdefault(_outcome(sample["prompts"], own), []).append(_listed(list(map(str, own))))
    judged = {panel.case["k"] for panel in figure.panels if panel.number in ranks}
    if not ranks or judged != {panel.case.get("k") for panel in figure.panels}:
        return None
    return Judgement([(outcome, len(found), "; ".join(found)) for outcome, found in outcomes.items()], ranks)


def _outcome(prompts: Sequence[str], ranks: Sequence[int]) -> str:
    """Returns which readings the judge recognised, as text."""
    first = [f"“{prompt}”" for prompt, rank in zip(prompts, ranks, strict=True) if rank == 1]
    asked = len(prompts)
    if len(first) == asked:
        return {1: "the reading", 2: "both readings"}.get(asked, "all readings")
    if first:
        return f"only {_listed(first)}"
    return {1: "not the reading", 2: "neither reading"}.get(asked, "no reading")


def _listed(words: Sequence[str]) -> str:
    """Joins words as in "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
