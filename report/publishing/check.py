"""`report check`: checks that the site matches its records and sources and was verified. Never samples."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from generators.records.errors import BuildError, PanelError
from generators.records.record import Record, read_json
from generators.running import staleness

from ..page.builder import build
from ..problems import Problems
from ..records import verification
from ..records.drawn import load
from ..web.images import Form, forms, open_panel, pixelated


def publishing_problems(root: Path, model: str) -> list[str]:
    """Returns the problems that prevent publishing root/site, one line each; empty if it is complete, fresh and
    verified."""
    site = root / "site"
    if not (site / "index.html").is_file():
        return ["site/index.html: there is no page yet; run `report all`"]
    problems = Problems(root)
    records = load(root, model, site, problems, drawn_here=False)
    if not records and not problems.lines:
        problems.add(site / "records", None, f"no section was drawn by {model}; run `report all`")
    for record in records:
        raw = read_json(record.path)
        assert raw, record.path
        if why := staleness.changed_dependency(raw, record.id, model):
            problems.add(record.path, None, f"stale: {why}; run `report section {record.id}`")
        _panels(record, site, problems)
        _verified(record, site, problems)
    return problems.lines + ([] if problems.lines else _rebuilt(root, model, site))


def _panels(record: Record, site: Path, problems: Problems) -> None:
    """Checks a section's published files: lossless ones bit for bit, the others by their size."""
    for figure in record.figures:
        for panel in figure.panels:
            try:
                if pixelated(panel):
                    pixels = open_panel(record, figure, panel, site).tobytes()
                    if hashlib.sha256(pixels).hexdigest() != panel.pixels:
                        raise PanelError(f"{forms(figure, panel)[0].path}: its pixels are not those of its record")
                else:
                    for form in forms(figure, panel):
                        _size(site, form, panel.height / panel.width)
            except PanelError as error:
                problems.add(record.path, None, f"{error}; run `report section {record.id}`")


def _size(site: Path, form: Form, ratio: float) -> None:
    try:
        with Image.open(site / form.path) as image:
            image.load()
    except OSError as error:
        raise PanelError(f"{form.path}: the published file is missing or damaged ({error})") from None
    if image.size != (form.width, round(form.width * ratio)):
        raise PanelError(f"{form.path}: {image.width} × {image.height} pixels, unlike its record")


def _verified(record: Record, site: Path, problems: Problems) -> None:
    again = f"run `report verify --section {record.id}`"
    found = verification.read(site, record.path)
    if found is None:
        problems.add(record.path, None, f"unverified: this section has not been redrawn for comparison; {again}")
        return
    for figure in record.figures:
        wrong = [result for result in verification.results(found, figure.name) if result.kind == verification.DIFFERS]
        if wrong:
            problems.add(record.path, None, f"unverified: {len(wrong)} panels of {figure.id} differ; {again}")


def _rebuilt(root: Path, model: str, site: Path) -> list[str]:
    """Returns how the site differs from a new build of the records, the prose and the templates."""
    with tempfile.TemporaryDirectory(prefix="report-check-") as scratch:
        again = Path(scratch) / "site"
        shutil.copytree(site, again)
        try:
            build(root, model, again)
        except BuildError as error:
            return list(error.problems)
        here, there = _files(site), _files(again)
    names = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [f"site: differs from a new build ({shown}); run `report site`"] if names else []


def _files(folder: Path) -> dict[str, str]:
    """Returns each file's digest, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
