"""The page of one build: it gathers records and prose, numbers the figures, and renders. It writes nothing."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from markupsafe import Markup

from report import linked, links, records, values, verdicts, views
from report.card import Card, card_of
from report.citation import CitationError, cited
from report.controls import Control, control
from report.excerpt import declared, excerpt, highlighted
from report.markup import FIGURE, PLACEHOLDER, Prose
from report.mathml import TexError, rich
from report.problems import Problems
from report.records import Figure, Record, section_key
from report.web_images import PanelError, open_panel

TITLE = "The Power of Diffusion Models"
SECTION_VALUES = ("seconds", "evaluations", "network_calls")


def prose_files(root: Path) -> dict[str, Path]:
    """Name -> prose file, in page order: intro, the sections by their ids, credits."""
    found = {path.stem.removeprefix("part_").replace("_", "."): path for path in root.glob("report/part_*.md")}
    ordered = sorted(found, key=lambda name: section_key(name) if re.fullmatch(r"\d+(\.\d+)*", name) else (-1,))
    named = {"intro": root / "report" / "intro.md"} | {name: found[name] for name in ordered}
    named["credits"] = root / "report" / "credits.md"
    return {name: path for name, path in named.items() if path.is_file()}


class ReportPage:
    """One build's state: the records, the prose, the figures' numbers. It is the `Page` that the prose asks."""

    def __init__(self, root: Path, model: str, site: Path, problems: Problems) -> None:
        self.root, self.model, self.site, self.problems = root, model, site, problems
        self.records = records.load(root, model, site, problems)
        self.by_id = {record.id: record for record in self.records}
        self.figures = {figure.id: (record, figure) for record in self.records for figure in record.figures}
        self.prose: dict[str, Prose] = {}
        for name, path in prose_files(root).items():
            if name in self.by_id or name in ("intro", "credits"):
                self.prose[name] = Prose(path, model, problems)
            elif re.fullmatch(r"\d+(\.\d+)*", name):
                problems.add(path, None, f"section {name} has not been drawn by {model}; run `report section {name}`")
            else:
                problems.add(path, None, "the name is part_ and the section's number, as in part_1_7_2.md")
        if not self.records and not self.prose:
            problems.add(root / ".report" / model, None, f"nothing has been drawn by {model}; run `report`")
        self.numbers = self._number()
        self.card: Card | None = card_of(TITLE, self.records)
        self.citation = None
        try:
            self.citation = cited(root / "CITATION.cff")
        except CitationError as error:
            problems.add(root / "CITATION.cff", None, str(error))
        self._scan_records()

    # -- gathering ----------------------------------------------------------------------------------------------------

    def _number(self) -> dict[str, int]:
        """Figure id -> its number: the order on the page is the order in which the prose places them."""
        placed: dict[str, tuple[Path, int]] = {}
        order: list[str] = []
        for name in ("intro", *self.by_id, "credits"):
            prose = self.prose.get(name)
            if prose:
                for line, figure in prose.figures:
                    if figure not in self.figures:
                        wrong = f"unknown figure {figure!r}; {self._known(figure)}"
                        prose.problem(line, wrong)
                    elif figure in placed:
                        path, first = placed[figure]
                        prose.problem(
                            line, f"figure {figure} is placed twice; it stands in {path.name}:{first} already"
                        )
                    else:
                        placed[figure] = prose.path, line
                        order.append(figure)
            elif name in self.by_id:
                order += [figure.id for figure in self.by_id[name].figures if self._is_left(figure)]
        for name, (record, _) in self.figures.items():
            if name not in order:
                prose = self.prose[record.id]
                prose.problem(None, f"figure {name} is drawn but never placed; add `/// fig | {name}` and `///`")
        return {name: number for number, name in enumerate(order, 1)}

    def _known(self, figure: str) -> str:
        section = figure.split("-")[0]
        if section in self.by_id:
            there = ", ".join(found.id for found in self.by_id[section].figures) or "none"
            return f"section {section} has: {there}"
        return f"no section {section} has been drawn; run `report section {section}`"

    def _scan_records(self) -> None:
        """Texts of the records are printed too: no placeholder and no bad TeX may hide there."""
        for record in self.records:
            texts = [record.title]
            for figure in record.figures:
                texts += [figure.caption]
                texts += [text for panel in figure.panels for text in (panel.row, panel.label, panel.alt)]
                for panel in figure.panels:
                    if not panel.alt.strip() or panel.alt.strip().lower() in ("image", "figure", "picture", "photo"):
                        wrong = f"figure {figure.id}, panel {panel.number}: alt {panel.alt!r} says nothing; describe it"
                        self.problems.add(record.path, None, wrong)
            for text in dict.fromkeys(texts):
                if match := PLACEHOLDER.search(text):
                    wrong = f"placeholder {match[0]!r} in {text!r}; change it in {record.source}"
                    self.problems.add(record.path, None, wrong)
                try:
                    rich(text)
                except TexError as error:
                    self.problems.add(record.path, None, f"{error}; change it in {record.source}")

    def find(self, text: str) -> tuple[Path, int | None]:
        """Where the prose says `text`, for problems that only the finished page shows."""
        for prose in self.prose.values():
            for line, written in enumerate(prose.text.splitlines(), 1):
                if text in written:
                    return prose.path, line
        return self.site / "index.html", None

    # -- what the prose asks (see markup.Page) ------------------------------------------------------------------------

    def figure(self, name: str, note: Markup, wish: str = "") -> Markup:
        if name not in self.figures:
            return Markup("")  # reported when the figures were numbered
        record, figure = self.figures[name]
        try:
            does = self._control(record, figure, wish) if wish else None
            lines = declared(self.root, record.source, figure.name)
            beside = self._beside(figure, does.other) if does and does.other else None
            view = views.figure_view(record, figure, self.numbers[name], note, lines, does, beside)
        except PanelError as error:
            self.problems.add(record.path, None, str(error))
            return Markup("")
        except TexError:
            return Markup("")  # reported when the records were scanned
        mark = verdicts.mark(verdicts.read(self.site, record.path), figure.name)
        return self._template("figure.html.j2", figure=view, mark=mark)

    def _control(self, record: Record, figure: Figure, wish: str) -> Control:
        return control(figure, wish, lambda panel: open_panel(record, figure, panel, self.site))

    def _beside(self, figure: Figure, name: str) -> views.Beside:
        _, other = self._figure(name)
        if [panel.seeds for panel in other.panels] != [panel.seeds for panel in figure.panels]:
            raise LookupError(f"`beside`: the panels of {name} have other seeds than those of {figure.id}")
        return views.Beside(other, self.numbers.get(name, 0))

    def table(self, name: str, fields: list[str], note: Markup) -> Markup:
        _, figure = self._figure(name)
        rows = []
        for panel in figure.panels:
            if any(field in panel.found for field in fields):
                cells = [
                    values.shown(key, panel.found[key], unit=False) if key in panel.found else "–" for key in fields
                ]
                rows.append((rich_or_plain(panel.name), cells))
        for key in fields:
            if not any(key in panel.found for panel in figure.panels):
                known = ", ".join(sorted({key for panel in figure.panels for key in panel.found})) or "none"
                raise LookupError(f"no panel of {name} found {key!r}; found there: {known}")
        heads = [values.title(key) for key in fields]
        link = self.reference("fig", name)
        return self._template("table.html.j2", heads=heads, rows=rows, link=link, note=note)

    def code(self, target: str, note: Markup) -> Markup:
        found = excerpt(self.root, target)
        return self._template("code.html.j2", excerpt=found, code=highlighted(found.code), note=note)

    def reference(self, kind: str, target: str) -> Markup:
        if kind == "sec":
            if target not in self.by_id:
                raise LookupError(f"@sec:{target}: there is no section {target} on the page")
            return Markup('<a href="#sec-{}">Section\u00a0{}</a>').format(links.anchor(target), target)
        if kind == "fig":
            self._figure(target)
            number = self.numbers.get(target, "?")
            return Markup('<a href="#fig-{}">Figure\u00a0{}</a>').format(links.anchor(target), number)
        return Markup('<span class="value">{}</span>').format(self._value(target))

    def _value(self, target: str) -> str:
        """The text of `1.2-blur[t=250].psnr`, or of `1.4.seconds`. Raises LookupError."""
        where, _, name = target.rpartition(".")
        if re.fullmatch(r"\d+(\.\d+)*", where):
            if where not in self.by_id or name not in SECTION_VALUES:
                raise LookupError(f"@val:{target}: a section that is drawn has {', '.join(SECTION_VALUES)}")
            return values.shown(name, getattr(self.by_id[where], name))
        match = re.fullmatch(rf"({FIGURE})(?:\[(.*)\])?", where)
        assert match, target
        try:
            _, figure = self._figure(match[1])
            panels = values.select(figure.panels, match[2] or "")
            if not panels:
                raise LookupError(f"no panel of {match[1]} has {match[2]}")
            found = list(dict.fromkeys(values.shown(name, values.field(panel, name)) for panel in panels))
            if len(found) > 1:
                raise LookupError(f"{len(panels)} panels with different values; choose one in [ ]")
        except LookupError as error:
            raise LookupError(f"@val:{target}: {error.args[0]}") from None
        return found[0]

    def _figure(self, name: str) -> tuple[Record, Figure]:
        if name not in self.figures:
            raise LookupError(f"there is no figure {name}; {self._known(name)}")
        return self.figures[name]

    # -- rendering ----------------------------------------------------------------------------------------------------

    def _template(self, template: str, **context: Any) -> Markup:
        try:
            return Markup(_environment((self.root / "templates").resolve()).get_template(template).render(context))
        except TemplateNotFound as error:  # also a LookupError, for which the prose would be blamed
            raise TemplateError(f"there is no template {error.name}") from None

    def render(self) -> str:
        """The whole page as HTML; problems in the prose are noted on the way, and then the text is of no use."""
        if self.problems.lines and not self.records:
            self.problems.check()
        sections = []
        for record in self.records:
            # A section inside another one, such as 1.7.2, stands one level lower, as its number says.
            level = 2 + (record.id.rpartition(".")[0] in self.by_id)
            prose = self.prose.get(record.id)
            if prose:
                html = prose.html(self, level + 1)
            else:
                mine = [figure.id for figure in record.figures if self._is_left(figure)]
                html = Markup("").join(self.figure(name, Markup()) for name in mine)
            sections.append({"id": record.id, "title": rich_or_plain(record.title), "level": level, "html": html})
        texts = {
            name: self.prose[name].html(self, 2) if name in self.prose else Markup("") for name in ("intro", "credits")
        }
        self.problems.check()
        return self._template(
            "page.html.j2",
            title=TITLE,
            model=self.records[0].model,
            description=_named(self.records[0]),
            texts=texts,
            sections=sections,
            strip=self._strip(),
            static={name: _digest(self.root / "templates" / "static" / name) for name in ("style.css", "page.js")},
            citation=self.citation,
            linked=linked.page(TITLE, self.citation, self.records) if self.citation else "",
            card=self.card.path if self.card else "",
            provenance=self._provenance(),
        )

    def _strip(self) -> dict[str, Any] | None:
        """The trajectory of section 1.4 for the page's head."""
        found = views.trajectory(self.records)
        if not found:
            return None
        _, figure, panels = found
        return {"id": figure.id, "panels": [views.panel_view(figure, panel) for panel in panels]}

    def _is_left(self, figure: Figure) -> bool:
        """Whether no prose places the figure, not even another section's."""
        return not any(figure.id == name for prose in self.prose.values() for _, name in prose.figures)

    def _provenance(self) -> dict[str, Any]:
        """The footer's facts. Sections may have been drawn by different weights: then each digest names its own."""

        def by(text: Any) -> list[tuple[str, str]]:
            groups: dict[str, list[str]] = {}
            for record in self.records:
                groups.setdefault(text(record), []).append(record.id)
            return [(found, ", ".join(ids) if len(groups) > 1 else "") for found, ids in groups.items()]

        return {
            "digests": by(lambda record: record.digest),
            "runs": by(lambda record: f"{record.device}, {record.dtype}"),
            "versions": by(views.versions),
            "figures": len(self.figures),
            "panels": sum(len(figure.panels) for _, figure in self.figures.values()),
            "evaluations": sum(record.evaluations for record in self.records),
            "duration": values.duration(sum(record.seconds for record in self.records)),
        }


def _named(record: Record) -> str:
    """The model's description, which the reader must be able to tell by its name."""
    named = record.description.startswith(record.model)
    return record.description if named else f"{record.model}, {record.description}"


@cache
def _environment(folder: Path) -> Environment:
    """Jinja for one folder of templates; it notices by itself when one of them changes."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["anchor"] = links.anchor
    return environment


def rich_or_plain(text: str) -> Markup:
    """A title with its formulas; bad TeX has been reported with the record and stays as it was written."""
    try:
        return rich(text)
    except TexError:
        return Markup("{}").format(text)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]
