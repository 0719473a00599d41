"""The page of one build: collects records and prose, numbers the figures, and renders. Writes nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from markupsafe import Markup

from generators import settings
from generators.records.errors import CitationError, TexError
from generators.records.record import Figure, Panel, Record
from generators.records.texts import SECTION, section_key
from report.figures import figure_view
from report.page import structured_data
from report.page.citation import read_citation
from report.page.companions import CARD, CODE, card_html, listing, model_card
from report.page.directives import Directives, is_declared, known_figures
from report.page.logo import Logo
from report.page.opening import opening
from report.page.social_card import Card
from report.page.templates import render
from report.problems import Problems, run
from report.prose import observations, values
from report.prose.markup import OPENING, PLACEHOLDER, Prose
from report.prose.mathml import rich
from report.prose.observations import Observation
from report.records import confirmations
from report.records.confirmations import Confirmation
from report.records.undrawn import Undrawn

IMAGES = {f".{kind}" for kind in "avif bmp dng gif heic heif jpeg jpg jxl png svg tga tif tiff webp".split()}


def prose_files(root: Path) -> dict[str, Path]:
    """Returns name -> prose file in page order: intro, the sections by id, credits."""
    found = {path.stem.removeprefix("part_").replace("_", "."): path for path in root.glob("report/writeup/part_*.md")}
    ordered = sorted(found, key=lambda name: section_key(name) if re.fullmatch(SECTION, name) else (-1,))
    named = {"intro": root / "report" / "writeup" / "intro.md"} | {name: found[name] for name in ordered}
    named["credits"] = root / "report" / "writeup" / "credits.md"
    return {name: path for name, path in named.items() if path.is_file()}


class ReportPage:
    """The state of one build: records, prose and figure numbers. `directives` answers the prose.

    confirmed: by section, the confirmations of its record. Raises SettingsError.
    """

    answers: type[Directives] = Directives

    def __init__(
        self,
        root: Path,
        model: str,
        site: Path,
        problems: Problems,
        records: Sequence[Record],
        confirmed: Mapping[str, Sequence[Confirmation]],
    ) -> None:
        self.root, self.model, self.site, self.problems = root, model, site, problems
        self.records, self.confirmed = records, confirmed
        self.settings = settings.read(root / "report" / "report.toml")
        problems.check()  # without a record, every mention of its figures would be a problem as well
        self.by_id = {record.id: record for record in self.records}
        self.figures = {figure.id: figure for record in self.records for figure in record.figures}
        self.prose: dict[str, Prose] = {}
        self.numbers: dict[str, int] = {}
        self.directives = self.answers(
            root, self.settings, model, site, problems, self.by_id, self.figures, self.numbers, confirmed
        )
        for name, path in prose_files(root).items():
            if name in self.by_id or name in ("intro", "credits"):
                self.prose[name] = Prose(path, model, problems, self.directives.digest)
            elif self.directives.awaits(name):
                continue
            elif re.fullmatch(SECTION, name):
                problems.add(path, None, self._without_record(name))
            else:
                problems.add(path, None, "name it part_ and the section's number, as in part_1_7_2.md")
        if not self.records and not self.prose:
            problems.add(root / ".report" / model, None, f"nothing has been drawn by {model}; {run('all', model)}")
        self.numbers |= self._number()
        self.opening = opening(self.prose.get("intro"), self.directives)
        logo, exhibits = self.opening.logo, self.opening.exhibits
        self.logo = Logo(logo) if logo else None
        self.card = Card(self.settings.title, self.settings.course, exhibits[:3], logo) if exhibits else None
        self.model_card = model_card(root, model)
        self.citation = None
        with problems.collected(root / "CITATION.cff", CitationError):
            self.citation = read_citation(root / "CITATION.cff", self.settings)
        self._scan_records()
        self._mention_passed_over()
        for name, prose in self.prose.items():
            for found in prose.directives:
                if found.kind in OPENING and name != "intro":
                    prose.problem(
                        found.line, f"`/// {found.kind}` belongs in intro.md: it is part of the page's opening"
                    )

    # -- gathering ----------------------------------------------------------------------------------------------------

    def _number(self) -> dict[str, int]:
        """Returns figure id -> number, in the order in which the prose places the figures."""
        placed: dict[str, tuple[Path, int]] = {}
        order: list[str] = []
        misspelt: set[str] = set()  # sections of which a figure was probably meant
        for name in ("intro", *self.by_id, "credits"):
            prose = self.prose.get(name)
            if prose:
                if not prose.is_read:
                    misspelt.add(name)
                for line, figure in prose.figures:
                    if self.directives.awaits(figure):
                        continue
                    if figure not in self.figures:
                        wrong = f"unknown figure {figure!r}; {known_figures(self.root, self.model, self.by_id, figure)}"
                        prose.problem(line, wrong)
                        misspelt |= {name, figure.split("-")[0]}
                    elif figure in placed:
                        path, first = placed[figure]
                        prose.problem(line, f"figure {figure} is placed twice; first in {path.name}:{first}")
                    else:
                        placed[figure] = prose.path, line
                        order.append(figure)
            elif name in self.by_id:
                order += [figure.id for figure in self.by_id[name].figures if self._is_unplaced(figure)]
        for name, drawn in self.figures.items():
            if name not in order and drawn.section not in misspelt:  # one line for one mistake
                wrong = f"figure {name} is never placed; add `/// fig | {name}` and `///`"
                self.prose[drawn.section].problem(None, wrong)
        return {name: number for number, name in enumerate(order, 1)}

    def _without_record(self, section_id: str) -> str:
        """Says what is wrong with prose of a section that the page lacks."""
        if is_declared(self.root, section_id):
            advice = run(f"section {section_id}", self.model)
            return f"section {section_id} has not been drawn by {self.model}; {advice}"
        known = ", ".join(self.by_id) or "no others"
        return f"no module declares a section {section_id}; the page has {known}: rename or remove this file"

    def _scan_records(self) -> None:
        """Checks the records' texts, which are printed too, for placeholders and bad TeX."""
        for record in self.records:
            texts = [record.title]
            for figure in record.figures:
                texts.append(figure.caption)
                for panel in figure.panels:
                    texts.append(panel.row)
                    with suppress(Undrawn):
                        texts.append(panel.label)
                    with suppress(Undrawn):
                        texts.append(panel.alt)
                        self._check_alt(record, figure, panel)
            for text in dict.fromkeys(texts):
                if match := PLACEHOLDER.search(text):
                    wrong = f"placeholder {match[0]!r} in {text!r}; change it in {record.source}"
                    self.problems.add(record.path, None, wrong)
                try:
                    rich(text)
                except TexError as error:
                    self.problems.add(record.path, None, f"{error}; change it in {record.source}")

    def _mention_passed_over(self) -> None:
        """Says which images are not used, because report.toml names one of that name and another type."""
        named = {Path(file).stem.lower(): file for file in self.settings.files.values()}
        for path in sorted((self.root / "report" / "writeup" / "inputs").glob("*")):
            meant = named.get(path.stem.lower(), path.name)
            if meant != path.name and path.suffix.lower() in IMAGES:
                with self.problems.at(path, None):
                    self.problems.notice(f"not used, for report/report.toml names {meant}: name this file, or move it")

    def _check_alt(self, record: Record, figure: Figure, panel: Panel) -> None:
        if values.says_nothing(panel.alt):
            wrong = f"figure {figure.id}, panel {panel.number}: alt {panel.alt!r} says nothing; describe it"
            self.problems.add(record.path, None, wrong)

    def find(self, text: str) -> tuple[Path, int | None]:
        """Returns where the prose contains `text`, for problems found only in the finished page."""
        for prose in self.prose.values():
            for line, written in enumerate(prose.text.splitlines(), 1):
                if text in written:
                    return prose.path, line
        return self.site / "index.html", None

    @property
    def alternatives(self) -> list[list[Observation]]:
        """The observations of the page, with those together of which one is shown."""
        return [group for prose in self.prose.values() for group in observations.alternatives(prose.observations)]

    @property
    def outdated(self) -> list[Observation]:
        """The observations that were written about other pictures than the page shows."""
        return [found for prose in self.prose.values() for found in observations.outdated(prose.observations)]

    @property
    def empty(self) -> list[Observation]:
        """The observations that are yet to be written."""
        return [found for group in self.alternatives for found in group if found.is_empty]

    def observed(self, figure: str) -> bool:
        """Whether an observation about a figure is on the page."""
        every = [found for group in self.alternatives for found in group]
        return any(figure in found.figures and found.holds and not found.is_empty for found in every)

    # -- rendering ----------------------------------------------------------------------------------------------------

    def render(self) -> str:
        """Renders the whole page as HTML. Problems in the prose are collected; the result is then unusable."""
        if self.problems.lines and not self.records:
            self.problems.check()
        sections, texts = self.read()
        self.problems.check()
        return render(
            self.root,
            "page.html.j2",
            title=self.settings.title,
            course=self.settings.course,
            model=self.records[0].model,
            description=_named(self.records[0]),
            records=self.records,
            texts=texts,
            sections=sections,
            logo=self.logo,
            exhibits=self.opening.exhibits,
            thumbnails=self.opening.thumbnails,
            numbers=self.numbers,
            static=self._static(),
            citation=self.citation,
            code=CODE,
            model_card=CARD if self.model_card else "",
            linked=structured_data.page(self.settings.title, self.citation, self.records) if self.citation else "",
            card=self.card,
            weights=self._distinct(lambda record: record.digest),
            runs=self._distinct(_where),
            versions=self._distinct(figure_view.versions),
            machines=self._machines(),
            credits=self._credits(),
        )

    def read(self) -> tuple[list[dict[str, Any]], dict[str, Markup]]:
        """Returns the prose as HTML: of each section, and of intro and credits. Problems in it are collected."""
        sections = []
        for record in self.records:
            # A section inside another one, such as 1.7.2, has a heading one level lower.
            level = 2 + (record.id.rpartition(".")[0] in self.by_id)
            prose = self.prose.get(record.id)
            if prose:
                html = prose.html(self.directives, level + 1)
            else:
                mine = [figure.id for figure in record.figures if self._is_unplaced(figure)]
                html = Markup("").join(self.directives.figure(name, Markup()) for name in mine)
            sections.append({"id": record.id, "title": record.title, "level": level, "html": html})
        texts = {name: Markup("") for name in ("intro", "credits")}
        texts |= {name: self.prose[name].html(self.directives, 2) for name in texts if name in self.prose}
        return sections, texts

    def companions(self) -> dict[str, str]:
        """Renders the companion pages, by name. The card's images must be copied to the site too."""
        directives = (each for prose in self.prose.values() for each in prose.directives)
        quoted = [each.arguments[0].partition("::")[0].strip() for each in directives if each.kind == "code"]
        files = listing(self.root, [*quoted, *(record.source for record in self.records)])
        shared = {"title": self.settings.title, "logo": self.logo, "static": self._static()}
        pages: dict[str, str] = {CODE: render(self.root, "code_page.html.j2", files=files, **shared)}
        if self.model_card:
            html = card_html(self.model_card)
            pages[CARD] = render(self.root, "card_page.html.j2", html=html, model=self.records[0].model, **shared)
        return pages

    def _static(self) -> dict[str, str]:
        """Returns a digest for the addresses of the stylesheet and the script, so that browsers load a new one."""
        folder = self.root / "templates" / "static"
        return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest()[:8] for name in ("style.css", "page.js")}

    def _is_unplaced(self, figure: Figure) -> bool:
        """Whether no prose places the figure, not even another section's."""
        return not any(figure.id == name for prose in self.prose.values() for _, name in prose.figures)

    def _distinct(self, text: Callable[[Record], str]) -> list[tuple[str, str]]:
        """Returns (text, section ids) for each distinct text; one pair without ids if all sections agree."""
        groups: dict[str, list[str]] = {}
        for record in self.records:
            groups.setdefault(text(record), []).append(record.id)
        return [(found, ", ".join(ids) if len(groups) > 1 else "") for found, ids in groups.items()]

    def _credits(self) -> list[tuple[str, str, str]]:
        """Returns (credit, address of the original or "", images) for the input images that figures show."""
        shown = {name for figure in self.figures.values() for panel in figure.panels for name in panel.inputs}
        groups: dict[tuple[str, str], list[str]] = {}
        for name, image in self.settings.images.items():
            if name in shown:
                groups.setdefault((image.credit, image.source), []).append(image.called)
        return [(credit, source, ", ".join(names)) for (credit, source), names in groups.items()]

    def _machines(self) -> list[tuple[str, str]]:
        """Returns, for each machine that drew the page again, what came of it and the sections, "" for all."""
        each = (confirmation for of_section in self.confirmed.values() for confirmation in of_section)
        return [
            (f"{machine}: panels {outcome}", ", ".join(ids) if len(ids) < len(self.records) else "")
            for machine, outcome, ids in confirmations.machines(each)
        ]


def _where(record: Record) -> str:
    """Returns the machine that drew a section; records of older versions know only its device."""
    told = [str(record.where.get(name, "")) for name in ("processor", "instructions")]
    return ", ".join(filter(None, [*told, record.device, record.dtype]))


def _named(record: Record) -> str:
    """Returns the model's description, prefixed by its name if it lacks it."""
    named = record.description.startswith(record.model)
    return record.description if named else f"{record.model}, {record.description}"
