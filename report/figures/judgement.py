"""The classifiers' verdicts on a model's illusions: generators/models/<model>/illusions.json, read while the page is
built.

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
AMONG = 20  # prompts among which they are ranked


@dataclass(frozen=True)
class Judgement:
    """Verdicts on a figure of samples with one or more readings each.

    verdict: in how many samples which prompts rank first, by the first classifier and by the second. ranks: by panel
    number, the rank of the panel's own prompt by the first; 1 is best.
    """

    verdict: str
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
    ranks: dict[int, int] = {}
    panels = {(panel.case.get("k"), panel.case.get("show")): panel for panel in figure.panels}
    for sample in samples:
        for show, prompt, rank in zip(sample["shows"], sample["prompts"], sample["ranks"], strict=True):
            panel = panels.get((sample["k"], show))
            if panel is None or panel.case.get(show) != prompt or panel.width != SEEN:
                return None
            ranks[panel.number] = int(rank)
    judged = {panel.case["k"] for panel in figure.panels if panel.number in ranks}
    if not ranks or judged != {panel.case.get("k") for panel in figure.panels}:
        return None
    total = len(samples)
    first, second = ([_is_first(sample, by) for sample in samples] for by in ("ranks", "second"))
    prompts = {1: "the prompt", 2: "both prompts"}.get(len(samples[0]["prompts"]), "all prompts")
    verdict = f"{prompts} first of {AMONG} in {sum(map(all, first))} of {total}"
    if not all(map(all, first)) and len(first[0]) > 1:
        alone = zip(samples[0]["prompts"], map(sum, zip(*first, strict=True)), strict=True)
        verdict += f" ({', '.join(f'“{prompt}” in {count}' for prompt, count in alone)})"
    return Judgement(f"{verdict}; a second one: in {sum(map(all, second))} of {total}", ranks)


def _is_first(sample: Mapping[str, Any], by: str) -> list[bool]:
    """Whether each prompt of a sample ranks first. by: "ranks" or "second", the field of a classifier."""
    return [int(rank) == 1 for rank in sample[by]]
