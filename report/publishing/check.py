"""`report check`: checks that the site matches its records and sources and was verified. Never samples."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generators import settings
from generators.records.errors import BuildError, PanelError
from generators.records.record import Record, read_json
from generators.running import staleness

from ..page import citation
from ..page.builder import build
from ..page.report_page import ReportPage
from ..problems import Problems, run, some
from ..records import confirmations
from ..records.drawn import load
from ..web.images import pictures

REFLECTED = ("0",)  # the sections on whose pictures the assignment wants a reflection


def publishing_problems(root: Path, model: str, without: bool = False) -> list[str]:
    """Returns the problems that prevent publishing root/site, one line each; empty if it is complete, fresh and
    verified.

    without: whether it may lack observations.
    """
    site = root / "site"
    if not (site / "index.html").is_file():
        return [f"site/index.html: there is no page yet; {run('all', model)}"]
    problems = Problems(root)
    records = load(root, model, site, problems, drawn_here=False)
    if not records and not problems.lines:
        problems.add(site / "records", None, f"no section was drawn by {model}; {run('all', model)}")
    if citation.outdated(root, settings.read(root / "report" / "report.toml")):
        problems.add(root / citation.FILE, None, f"not as report/report.toml says; {run('site', model)}")
    for record in records:
        raw = read_json(record.path)
        assert raw, record.path
        if why := staleness.changed_dependency(raw, record.id, model):
            problems.add(record.path, None, f"stale: {why}; {run(f'section {record.id}', model)}")
        _panels(record, site, problems)
        _confirmed(record, raw, site, problems)
    if not without and not problems.lines:
        _observations(ReportPage(root, model, site, problems, records, {}))
    return problems.lines + ([] if problems.lines else _rebuilt(root, model, site))


def _panels(record: Record, site: Path, problems: Problems) -> None:
    """Checks a section's published files: all by their size, lossless ones bit for bit."""
    for picture in pictures(record, site):
        for form in picture.forms:
            with problems.collected(record.path, PanelError):
                picture.check_published(form)


def _confirmed(record: Record, raw: Mapping[str, Any], site: Path, problems: Problems) -> None:
    again = run(f"verify --section {record.id}", record.model)
    found = confirmations.read(site, raw)
    if not found:
        problems.add(record.path, None, f"unverified: this section has not been redrawn for comparison; {again}")
    for confirmation in found:
        for name, outcome in confirmation.figures.items():
            if outcome.differ:
                wrong = f"unverified: {outcome.differ} panels of {record.id}-{name} differ on {confirmation.machine}"
                problems.add(record.path, None, f"{wrong}; {again}")


def _observations(page: ReportPage) -> None:
    """Checks that what the prose says about pictures is about those of the page."""
    advice = f"{run('observe', page.model)}, or check --without them"
    for found in page.outdated:
        page.problems.add(found.path, found.first, f"outdated: {found.why}; {advice}")
    for found in page.empty:
        page.problems.add(found.path, found.first, f"an empty observation of {', '.join(found.targets)}; {advice}")
    for section_id in REFLECTED:
        figures = [figure.id for figure in page.by_id[section_id].figures] if section_id in page.by_id else []
        if figures and not page.problems.lines and not any(map(page.observed, figures)):
            path = page.root / "report" / "writeup" / f"part_{section_id.replace('.', '_')}.md"
            wrong = f"nothing is said about {', '.join(figures)}; start with {run('observe --start', page.model)[4:]}"
            page.problems.add(path, None, f"{wrong}, or check --without it")


def _rebuilt(root: Path, model: str, site: Path) -> list[str]:
    """Returns how the site differs from a new build of the records, the prose and the templates."""
    with tempfile.TemporaryDirectory(prefix="report-check-") as scratch:
        again = Path(scratch) / "site"
        shutil.copytree(site, again)
        try:
            build(root, model, again)
        except BuildError as error:
            return list(error.problems)
        both = {path.relative_to(folder) for folder in (site, again) for path in folder.rglob("*") if path.is_file()}
        _, changed, absent = filecmp.cmpfiles(site, again, [path.as_posix() for path in both], shallow=False)
    names = sorted(changed + absent)
    return [f"site: differs from a new build ({some(names)}); {run('site', model)}"] if names else []
