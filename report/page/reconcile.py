"""What the page shows of each section: the published record stays where a new drawing agrees with it.

The published image of a panel is replaced only if what was drawn here differs from it beyond rounding. A drawing of the
same code, weights, inputs and cases that agrees leaves the published record as it is, byte for byte; one of other code
that agrees keeps the published pixels in a new record. Every comparison is with the published images, so steps within
the tolerance never add up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from generators.records import files
from generators.records.record import Record, parse, parsed, read_json, seal

from ..problems import Problems
from ..records import agreement
from ..records.agreement import DIFFERS, IDENTICAL, Outcome, PanelResult
from ..records.drawn import load

KEPT = "reconciled.json"  # in a section's folder: the last comparison with the published record
_MEASURED = ("label", "alt")  # texts that may contain what was found
NONE = Outcome()  # no panel was compared
Results = Mapping[str, list[PanelResult]]  # of each figure's panels


@dataclass(frozen=True)
class Shown:
    """A section as the page shows it.

    record: with the folder of its drawing here, if there is one. raw: the same as JSON. agrees: the panels of a drawing
    made here that agree with what was published before. new: the number of the others. Both are empty if there is no
    such drawing, or if it is what was published.
    """

    record: Record
    raw: dict[str, Any]
    agrees: Outcome = NONE
    new: int = 0


def reconcile(root: Path, model: str, site: Path, problems: Problems) -> list[Shown]:
    """Returns the sections that `model` has drawn, here or for the page in `site`, in page order.

    An unusable record is reported to `problems`.
    """
    published = {record.id: record for record in load(root, model, site, Problems(root), drawn_here=False)}
    shown = []
    for drawn in load(root, model, site, problems):
        raw = read_json(drawn.path)
        assert raw, drawn.path
        before = published.get(drawn.id)
        if drawn.folder is None or before is None:
            shown.append(Shown(drawn, raw))
        else:
            shown.append(_reconciled(drawn, raw, before, site))
    return shown


def independent(drawn: Mapping[str, Any], published: Mapping[str, Any]) -> bool:
    """Whether two records are of two drawings, so that one can confirm the other."""
    return drawn.get("drawn") != published.get("drawn")


def _reconciled(drawn: Record, new: dict[str, Any], before: Record, site: Path) -> Shown:
    old = read_json(before.path)
    assert old, before.path
    results = _compared(drawn, new, before, old, site)
    everything = [result for of_figure in results.values() for result in of_figure]
    agrees = [result for result in everything if result.kind != DIFFERS]
    same = agrees == everything and agreement.drawing(old) == agreement.drawing(new)
    raw = _merged(old, new, results, same)
    record = parsed(raw, drawn.path, drawn.folder)
    if not independent(new, old):
        return Shown(record, raw)
    return Shown(record, raw, Outcome.of(agrees), len(everything) - len(agrees))


def _merged(old: Mapping[str, Any], new: Mapping[str, Any], results: Results, same: bool) -> dict[str, Any]:
    """Returns the record of the page: of the published drawing if it is the same, else of the new one, in which the
    panels that agree keep their published pixels. The texts are the new ones."""
    kept = {figure["name"]: figure["panels"] for figure in old["figures"]}
    figures = []
    for figure in new["figures"]:
        name, panels = figure["name"], []
        for place, (panel, result) in enumerate(zip(figure["panels"], results[name], strict=True)):
            panels.append(panel if result.kind == DIFFERS else _panel(kept[name][place], panel, same))
        figures.append({**figure, "panels": panels})
    texts = {name: new[name] for name in agreement.TEXTS & new.keys()}
    raw = {**(old if same else new), **texts, "figures": figures}
    return {**raw, "seal": seal(raw)}


def _panel(old: Mapping[str, Any], new: Mapping[str, Any], same: bool) -> dict[str, Any]:
    """Returns a panel that agrees with the published one, with its pixels and values, and the new texts.

    A text with numbers that rounding has changed stays as it was.
    """
    kept = {"pixels": old["pixels"]}
    if old["found"] != new["found"] and all(
        _without_numbers(old[name]) == _without_numbers(new[name]) for name in _MEASURED
    ):
        kept |= {name: old[name] for name in ("found", *_MEASURED)}
    if same:
        return {**old, **{name: new[name] for name in ("found", *(agreement.TEXTS & new.keys()))}, **kept}
    return {**new, **kept}


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "0", text)


def _compared(drawn: Record, new: dict[str, Any], before: Record, old: dict[str, Any], site: Path) -> Results:
    """Compares all panels of a section with the published ones; the records' seals say whether that was done before."""
    assert drawn.folder
    path, seals = drawn.folder / KEPT, [new["seal"], old["seal"]]
    try:
        known = parse(path.read_text(encoding="utf-8"))
        if known["seals"] == seals:
            return {name: [PanelResult(**each) for each in of] for name, of in known["results"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # not compared yet
    from ..web.comparison import compare

    compared = {figure.name: compare(before, figure, new, drawn.folder, site) for figure in before.figures}
    other = PanelResult(DIFFERS, None)  # a panel that was not published
    results = {}
    for figure in drawn.figures:
        count = len(figure.panels)
        results[figure.name] = [*compared.get(figure.name, ()), *[other] * count][:count]
    if any(result != PanelResult(IDENTICAL) for of in results.values() for result in of):  # the digests did not suffice
        content = {"seals": seals, "results": {name: list(map(asdict, of)) for name, of in results.items()}}
        files.write(path, json.dumps(content), synced=False)
    return results


def summary(shown: Iterable[Shown]) -> list[str]:
    """Says how the drawings made here compare with the page as it was, in at most two lines."""
    shown = list(shown)
    agrees, new = sum((each.agrees for each in shown), Outcome()), sum(each.new for each in shown)
    lines = [f"reproduced: {agrees}"] if agrees != NONE else []
    return [*lines, f"new on the page: {new} panel{'s' if new > 1 else ''}"] if new else lines
