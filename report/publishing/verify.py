"""`report verify`: confirms the published page by independent drawings, and keeps the result in the site.

Sections are redrawn whole, because their cases share batches, and other batch sizes round differently.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators import models
from generators.records.errors import VerifyError
from generators.records.locks import held
from generators.records.record import Record, read_drawn, read_json
from generators.running import staleness
from generators.running.cost import Cost
from generators.running.run import draw_section, load_section, state_folder
from generators.running.session import Observer, Session, prepare

from ..page.builder import lock_of
from ..page.reconcile import independent
from ..problems import Problems, run
from ..records import agreement, confirmations
from ..records.agreement import Outcome
from ..records.confirmations import Confirmation
from ..records.drawn import load
from ..web.comparison import compare


@dataclass(frozen=True)
class _Published:
    """A published section."""

    record: Record
    raw: dict[str, Any]

    def confirmed_by(self, drawn: dict[str, Any], folder: Path, site: Path) -> Confirmation:
        """Compares a drawing, in `folder`, with the published one."""
        figures = {
            figure.name: Outcome.of(compare(self.record, figure, drawn, folder, site)) for figure in self.record.figures
        }
        return Confirmation(
            self.record.id,
            agreement.subject(self.raw),
            drawn["drawn"][:19] + "+00:00",
            drawn["where"],
            drawn["versions"],
            figures,
        )


def verify(
    root: Path, model: str, wanted: Iterable[str] = (), sample: int = 0, observer: Observer | None = None
) -> dict[str, Outcome]:
    """Compares the wanted sections (none: all published ones, or `sample` of them at random) with another drawing.

    A section that was drawn here, and not for the page, is compared as it is; the others are drawn again. Each
    confirmation is written to the site at once; the outcomes are returned by section id. Raises VerifyError if a
    section is not published or its record is stale, and what `generators.running.run.draw` raises.
    """
    observer, site = observer or Observer(), root / "site"
    published = _published(root, model, site)
    chosen = list(dict.fromkeys(wanted)) or list(published)
    for section_id in chosen:
        if section_id not in published:
            known = ", ".join(published) or "none"
            raise VerifyError(f"section {section_id} is not on {model}'s published page; published: {known}")
        if why := staleness.changed_dependency(published[section_id].raw, section_id, model):
            advice = run(f"section {section_id}", model)
            raise VerifyError(f"section {section_id}: {why} since it was published; {advice}")
    if sample:
        picked = random.sample(chosen, min(sample, len(chosen)))
        chosen = [section_id for section_id in chosen if section_id in picked]
    found: dict[str, Confirmation] = {}

    def confirm(section_id: str, drawn: dict[str, Any], folder: Path) -> None:
        found[section_id] = published[section_id].confirmed_by(drawn, folder, site)
        with held(lock_of(site), f"verifies {section_id}"):
            confirmations.write(site, found[section_id])

    state = state_folder(root, model)
    for section_id in chosen:
        if not staleness.why_stale(state / section_id, section_id, model):
            drawn = read_drawn(state / section_id)
            if drawn and independent(drawn, published[section_id].raw):
                confirm(section_id, drawn, state / section_id)
    todo = [section_id for section_id in chosen if section_id not in found]
    if todo:
        observer.begin({section_id: ("to be redrawn", Cost.of(published[section_id].raw)) for section_id in todo})
        prepare(model, map(load_section, todo), observer.planned)
        session = Session(models.load(model), observer)
        with tempfile.TemporaryDirectory(prefix="report-verify-") as scratch:
            for section_id in todo:
                folder = Path(scratch) / section_id
                confirm(section_id, draw_section(session, load_section(section_id), folder, observer), folder)
    return {section_id: found[section_id].outcome for section_id in chosen}


def _published(root: Path, model: str, site: Path) -> dict[str, _Published]:
    """Returns the sections of the page, not newer ones drawn here since."""
    problems = Problems(root)
    records = load(root, model, site, problems, drawn_here=False)
    problems.check()
    found = {}
    for record in records:
        raw = read_json(record.path)
        if raw is None:
            raise VerifyError(f"{record.path}: the record changed during verification; run the same command again")
        found[record.id] = _Published(record, raw)
    return found
