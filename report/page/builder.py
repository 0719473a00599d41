"""Builds site/ from records, prose and templates. Everything is rendered and checked before the old site changes.

The builder knows the generators only through the records on disk, and imports nothing slow.
"""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from jinja2 import TemplateError, TemplateSyntaxError

from generators.records.errors import PanelError
from generators.records.files import replacing
from generators.records.kept import keeping
from generators.records.locks import held
from generators.records.record import Figure, Record, read_json, write
from report.figures import figure_png
from report.page import budget, links, structured_data
from report.page.companions import card_images
from report.page.partial import PartialPage
from report.page.reconcile import Shown, reconcile, summary
from report.page.report_page import ReportPage
from report.problems import Problems
from report.records import confirmations
from report.web import metadata
from report.web.images import Picture, Store, pictures

Told = Callable[[str], object]
STATIC = {".css", ".js", ".woff2", ".png", ".txt"}  # the files of templates/static that belong to the site


def build_drawn(root: Path, model: str, tell: Told = lambda line: None) -> Path:
    """Builds a page of the sections that `model` has drawn here, apart from the site, and returns the path of its
    index.html. Raises BuildError as `build` does."""
    return build(root, model, root / ".report" / "pages" / model, PartialPage, tell)


def build(
    root: Path,
    model: str = "pocket",
    site: Path | None = None,
    kind: type[ReportPage] = ReportPage,
    tell: Told = lambda line: None,
    news: Told = lambda line: None,
) -> Path:
    """Builds the page of `model` and returns the path of its index.html; `site` defaults to root/site.

    kind: of the page; a `PartialPage` may lack sections. tell: is told what the author should know, line by line, such
    as observations that were left out. news: is told how the drawings made here compare with the page as it was.
    Raises BuildError, one line per problem, or SettingsError, and then leaves the old site unchanged.
    """
    root = root.resolve()
    site = (site or root / "site").resolve()
    problems = Problems(root)
    with held(lock_of(site), "builds the page"), keeping(root / ".cache" / "page.json"), replacing(site) as new:
        shown = reconcile(root, model, site, problems)
        confirmed = {each.record.id: confirmations.read(site, each.raw) for each in shown}
        page = kind(root, model, site, problems, [each.record for each in shown], confirmed)
        try:
            pages = {name: str(html) for name, html in {"index.html": page.render(), **page.companions()}.items()}
        except TemplateError as error:
            problems.add(*_wrong_template(error, root / "templates"))
        problems.check()
        _write(page, shown, pages, new)
        for name, html in pages.items():
            for text, wrong in links.broken(html, new):
                if (section := links.section_of_anchor(text)) and page.directives.awaits(section):
                    continue
                path, line = page.find(text) if name == "index.html" else (site / name, None)
                problems.add(path, line, wrong)
        for wrong in budget.broken(pages["index.html"], new):
            problems.add(site / "index.html", None, wrong)
        problems.check()
        with problems.at(site / "index.html", None):
            for notice in budget.heavy(pages["index.html"], new):
                problems.notice(notice)
    for notice in problems.notices:
        tell(notice)
    for each in summary(shown):
        news(each)
    return site / "index.html"


def lock_of(site: Path) -> Path:
    """Returns the lock of whoever changes the site."""
    return site.with_name(f".{site.name}.lock")


def _write(page: ReportPage, shown: Sequence[Shown], pages: Mapping[str, str], new: Path) -> None:
    """Writes the pages and their files into the folder `new`; missing or wrong panels become problems."""
    # Equal pixels of two models have the same name; their metadata say which model made them.
    published = page.site if _model_of(page.site) == page.model else new
    store = Store(page.root / ".report" / "web" / page.model, published, new)
    # Encoders run outside the interpreter's lock. Grids wait for each other, since matplotlib's settings are global.
    with ThreadPoolExecutor() as threads, ThreadPoolExecutor(1) as thread:
        placed = [
            (record, threads.submit(picture.place, store))
            for record in page.records
            for picture in pictures(record, page.site)
        ]
        grids = [
            (record, thread.submit(store.place, figure_png.path(figure), partial(_grid, record, figure, page.site)))
            for record in page.records
            for figure in record.figures
        ]
    for illustration in page.directives.illustrations:
        illustration.place(store)
    for futures in (placed, grids):
        for record, future in futures if not page.problems.lines else ():  # one line for one mistake
            with page.problems.collected(record.path, PanelError):
                future.result()
    if not page.problems.lines:
        for picture in page.opening.thumbnails.values():
            picture.place_reduced(store, picture.thumbnail)
        if page.logo:
            page.logo.place(store)
        if page.card:
            store.place(page.card.path, page.card.compose)
    for each in shown:
        write(new / "records" / f"{each.record.id}.json", each.raw, synced=False)  # as the other files of the site
        for confirmation in page.confirmed[each.record.id]:
            confirmations.write(new, confirmation)
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
        (new / name).write_text(html, encoding="utf-8", newline="\n")  # the same bytes on every system
    if page.citation:
        crate = structured_data.crate(new, page.settings.title, page.citation, page.records)
        (new / structured_data.CRATE).write_text(crate, encoding="utf-8", newline="\n")


def _model_of(site: Path) -> str | None:
    """Returns the model whose report a site is, as its first record says; None if it has none."""
    raw = next(filter(None, map(read_json, sorted(site.glob("records/*.json")))), {})
    model = raw.get("model")
    return model.get("name") if isinstance(model, dict) else None


def _grid(record: Record, figure: Figure, site: Path) -> bytes:
    """Returns a figure as one PNG. Raises PanelError."""
    images = [Picture(record, figure, panel, site).open() for panel in figure.panels]
    return figure_png.compose(figure, images, metadata.png(record, figure))


def _wrong_template(error: TemplateError, folder: Path) -> tuple[Path, int | None, str]:
    """Returns the failing template, its line, and the error."""
    if isinstance(error, TemplateSyntaxError) and error.name:
        return folder / error.name, error.lineno, f"the template does not parse: {error.message}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    if frames:
        return Path(frames[-1].filename), frames[-1].lineno, f"the template fails: {error.message}"
    return folder, None, str(error.message)
