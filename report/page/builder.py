"""Records + prose + templates -> site/. Everything is gathered, rendered and checked before the old site is touched.

The builder knows the generators only by the records that they leave on disk, and imports nothing that is slow to load.
"""

from __future__ import annotations

import re
import shutil
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from jinja2 import TemplateError, TemplateSyntaxError

from report.basics.atomic import replaced
from report.basics.problems import BuildError, Problems
from report.figures import figure_png
from report.page import budget, links, structured_data
from report.page.companions import card_html
from report.page.report_page import TITLE, ReportPage, prose_files
from report.records import verification
from report.records.record import Figure, Record
from report.web import metadata
from report.web.images import PanelError, Store, open_panel, place_panel, place_thumbnail

__all__ = ["BuildError", "build", "sources"]

STATIC = {".css", ".js", ".woff2", ".png", ".txt"}  # of templates/static, what the page is served with


def build(root: Path, model: str = "pocket", site: Path | None = None) -> Path:
    """Builds the page of `model` and returns the path of its index.html; `site` is root/site unless given.

    Raises BuildError, one line a problem, and then leaves the old site as it was.
    """
    root = root.resolve()
    site = (site or root / "site").resolve()
    problems = Problems(root)
    with replaced(site) as new:
        page = ReportPage(root, model, site, problems)
        try:
            html = page.render()
            companions = page.companions()
        except TemplateError as error:
            problems.add(*_wrong_template(error, root / "templates"))
        problems.check()
        _write(page, {"index.html": html, **companions}, new)
        for name, each in {"index.html": html, **companions}.items():
            for text, wrong in links.broken(each, new):
                path, line = page.find(text) if name == "index.html" else (site / name, None)
                problems.add(path, line, wrong)
        for wrong in budget.broken(html, new):
            problems.add(site / "index.html", None, wrong)
        problems.check()
    return site / "index.html"


def sources(root: Path) -> list[Path]:
    """The files that a page is made from, besides the published site: what `serve` should watch."""
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
    """Puts the pages and all that they load into the folder `new`; missing or wrong panels become problems."""
    store = Store(page.root / ".report" / "web", page.site, new)
    for record, figure in page.figures.values():
        for panel in figure.panels:
            place_panel(store, record, figure, panel, page.site, page.problems)

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
            place_thumbnail(store, record, figure, panel, page.site)
        if card := page.card:
            store.place(card.path, lambda: card.compose(page.site))
    (new / "records").mkdir()
    for record in page.records:
        shutil.copyfile(record.path, new / "records" / f"{record.id}.json")
        if verified := verification.read(page.site, record.path):
            verification.write(new, record.id, verified)
    for path in _static(page.root / "templates" / "static"):
        target = new / "static" / path.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    (new / ".nojekyll").touch()  # GitHub Pages: serve the files as they are
    for path in card_html(page.model_card)[1] if page.model_card else ():
        if not path.is_file():
            page.problems.add(page.model_card or path, None, f"{path.name}: the card shows it, and it is not there")
        else:
            shutil.copyfile(path, new / path.name)
    for name, html in pages.items():
        (new / name).write_text(html, encoding="utf-8")
    if page.citation:
        crate = structured_data.crate(new, TITLE, page.citation, page.records)
        (new / structured_data.CRATE).write_text(crate, encoding="utf-8")


def _static(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix in STATIC)


def _wrong_template(error: TemplateError, folder: Path) -> tuple[Path, int | None, str]:
    """Which template is wrong, on which line, and how."""
    if isinstance(error, TemplateSyntaxError) and error.name:
        return folder / error.name, error.lineno, f"the template does not parse: {error.message}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    if frames:
        return Path(frames[-1].filename), frames[-1].lineno, f"the template fails: {error.message}"
    return folder, None, str(error.message)
