"""Builds site/ from records, prose and templates. Everything is rendered and checked before the old site changes.

The builder knows the generators only through the records on disk, and imports nothing slow.
"""

from __future__ import annotations

import re
import shutil
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jinja2 import TemplateError, TemplateSyntaxError

from generators.records.errors import PanelError
from generators.records.files import locked, replacing
from generators.records.record import Figure, Record
from report.figures import figure_png
from report.page import budget, links, structured_data
from report.page.companions import card_images
from report.page.report_page import TITLE, ReportPage, prose_files
from report.problems import Problems
from report.records import verification
from report.web import metadata
from report.web.images import Store, open_panel, place_panel, place_reduced, thumbnail

STATIC = {".css", ".js", ".woff2", ".png", ".txt"}  # the files of templates/static that belong to the site


def build(root: Path, model: str = "pocket", site: Path | None = None) -> Path:
    """Builds the page of `model` and returns the path of its index.html; `site` defaults to root/site.

    Raises BuildError, one line per problem, and then leaves the old site unchanged.
    """
    root = root.resolve()
    site = (site or root / "site").resolve()
    problems = Problems(root)
    with locked(site), replacing(site) as new:
        page = ReportPage(root, model, site, problems)
        try:
            pages = {"index.html": page.render(), **page.companions()}
        except TemplateError as error:
            problems.add(*_wrong_template(error, root / "templates"))
        problems.check()
        _write(page, pages, new)
        for name, html in pages.items():
            for text, wrong in links.broken(html, new):
                path, line = page.find(text) if name == "index.html" else (site / name, None)
                problems.add(path, line, wrong)
        for wrong in budget.broken(pages["index.html"], new):
            problems.add(site / "index.html", None, wrong)
        problems.check()
    return site / "index.html"


def sources(root: Path) -> list[Path]:
    """Returns the files that a page is made from, without the published site: what `serve` watches."""
    prose = prose_files(root)
    code = {
        root / match[1]
        for path in prose.values()
        for match in re.finditer(r"(?m)^///\s*code\s*\|\s*([^:\n]+?)\s*::", path.read_text(encoding="utf-8"))
    }
    templates = (path for path in (root / "templates").rglob("*") if path.is_file())
    found = {*prose.values(), *templates, *root.glob(".report/*/[!.]*/record.json"), *filter(Path.is_file, code)}
    return sorted(found)


def _write(page: ReportPage, pages: Mapping[str, str], new: Path) -> None:
    """Writes the pages and their files into the folder `new`; missing or wrong panels become problems."""
    store = Store(page.root / ".report" / "web", page.site, new)
    panels = [(record, figure, panel) for record, figure in page.figures.values() for panel in figure.panels]
    with ThreadPoolExecutor() as threads:  # encoders run outside the interpreter's lock
        placed = [threads.submit(place_panel, store, *each) for each in panels]
    for (record, _, _), future in zip(panels, placed, strict=True):
        try:
            future.result()
        except PanelError as error:
            page.problems.add(record.path, None, str(error))
    for record, figure in page.figures.values():

        def compose(record: Record = record, figure: Figure = figure) -> bytes:
            images = [open_panel(record, figure, panel, page.site) for panel in figure.panels]
            return figure_png.compose(figure, images, metadata.png(record, figure))

        if not page.problems.lines:
            try:
                store.place(figure_png.path(figure), compose)
            except PanelError as error:
                page.problems.add(record.path, None, str(error))
    if not page.problems.lines:
        for record, figure, panel in page.thumbnails.values():
            place_reduced(store, record, figure, panel, thumbnail(figure, panel))
        if page.logo:
            page.logo.place(store)
        if card := page.card:
            store.place(card.path, lambda: card.compose(page.site))
    (new / "records").mkdir()
    for record in page.records:
        shutil.copyfile(record.path, new / "records" / f"{record.id}.json")
        if verified := verification.read(page.site, record.path):
            verification.write(new, record.id, verified)
    (new / "static").mkdir()
    for path in (page.root / "templates" / "static").iterdir():
        if path.suffix in STATIC:
            shutil.copyfile(path, new / "static" / path.name)
    (new / ".nojekyll").touch()  # GitHub Pages: serve the files as they are
    for path in card_images(page.model_card) if page.model_card else ():
        if not path.is_file():
            page.problems.add(page.model_card or path, None, f"{path.name}: the card shows it, but it does not exist")
        else:
            shutil.copyfile(path, new / path.name)
    for name, html in pages.items():
        (new / name).write_text(html, encoding="utf-8")
    if page.citation:
        crate = structured_data.crate(new, TITLE, page.citation, page.records)
        (new / structured_data.CRATE).write_text(crate, encoding="utf-8")


def _wrong_template(error: TemplateError, folder: Path) -> tuple[Path, int | None, str]:
    """Returns the failing template, its line, and the error."""
    if isinstance(error, TemplateSyntaxError) and error.name:
        return folder / error.name, error.lineno, f"the template does not parse: {error.message}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    if frames:
        return Path(frames[-1].filename), frames[-1].lineno, f"the template fails: {error.message}"
    return folder, None, str(error.message)
