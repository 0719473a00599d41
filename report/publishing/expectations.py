"""Checks the prose before sections are drawn: what it asks of their figures, against their declarations.

A misspelt figure would otherwise stop the build after minutes of drawing.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from generators.figures import Case, Section
from generators.figures import Figure as DeclaredFigure
from generators.records.errors import DeclarationError
from generators.records.record import Figure, Record
from generators.running import staleness
from generators.running.run import load_section, source_of

from ..page.expected import ExpectedPage
from ..problems import Problems
from ..records.drawn import load
from ..records.undrawn import DeclaredPanel, DeclaredRecord, Findings


def check(root: Path, model: str, to_draw: Collection[str]) -> None:
    """Raises BuildError, one line per mistake, for what the prose asks in vain, now and after drawing these sections.

    Other sections count as they are drawn here or published, or else as declared. Runs no model. Raises
    DeclarationError for an invalid section to be drawn.
    """
    root, problems = root.resolve(), Problems(root.resolve())
    drawn = {record.id: record for record in load(root, model, root / "site", Problems(root))}
    records: list[Record] = []
    for section_id in staleness.sections():
        if section_id in drawn and section_id not in to_draw:
            records.append(drawn[section_id])
            continue
        try:
            records.append(announced(load_section(section_id), model, root))
        except DeclarationError:
            if section_id in to_draw:
                raise
            return  # what the prose may ask of this section cannot be told
    ExpectedPage(root, model, root / "site", problems, records, {}).check_anchors()
    problems.check()


def announced(section: Section, model: str, root: Path) -> DeclaredRecord:
    """Returns what is known of a section's record before it is drawn."""
    source = source_of(section.id)
    figures = tuple(_figure(section.id, figure) for figure in section.figures)
    return DeclaredRecord(
        id=section.id,
        title=section.title,
        source=source,
        model=model,
        figures=figures,
        path=root / source,
        folder=None,
    )


def _figure(section_id: str, declared: DeclaredFigure) -> Figure:
    panels = tuple(_panel(number, declared, case) for number, case in enumerate(declared.cases, 1))
    return Figure(section_id, declared.name, declared.caption_text(), panels)


def _panel(number: int, declared: DeclaredFigure, case: Case) -> DeclaredPanel:
    known: dict[str, Any] = {"number": number, "case": dict(case), "found": Findings(declared.finds)}
    known["row"] = declared.row_of(case)
    for name, text in (("label", declared.label_of), ("alt", declared.alt_of)):
        with suppress(KeyError):  # it names a value that is found by drawing
            known[name] = text(case)
    return DeclaredPanel(**known)
