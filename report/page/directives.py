"""Directives of the prose: figures, tables, code excerpts, references and values, all from the records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from markupsafe import Markup

from generators.records.errors import JudgeError, PanelError, TexError
from generators.records.record import Figure, Panel, Record
from generators.records.texts import SECTION
from generators.settings import Settings
from report.figures import controls, figure_png, figure_view
from report.figures.judgement import ILLUSIONS, judgement
from report.figures.parameters import parameters
from report.page import links
from report.page.companions import code_address
from report.page.templates import render
from report.problems import Problems, run
from report.prose import observations, values
from report.prose.excerpt import declared, excerpt, highlighted
from report.prose.markup import FIGURE
from report.records import confirmations
from report.records.confirmations import Confirmation
from report.web.illustrations import Illustration
from report.web.images import Picture

_PANELS = re.compile(rf"({FIGURE})(?:\[(.*)\])?")
MINE = "report."  # what names a value of report/report.toml
LISTS = ("values", "columns")  # the options of a figure that are no control
SECTION_VALUES = ("seconds", "evaluations", "network_calls")


@dataclass(frozen=True)
class Directives:
    """The directives over the records of one build (`markup.Page`).

    by_id: the drawn sections. figures: by id. numbers: of the figures on the page. confirmed: confirmations by section.
    illustrations: the pictures of the author's own that were asked for.
    """

    root: Path
    settings: Settings
    model: str
    site: Path
    problems: Problems
    by_id: Mapping[str, Record]
    figures: Mapping[str, Figure]
    numbers: Mapping[str, int]
    confirmed: Mapping[str, Sequence[Confirmation]]
    illustrations: list[Illustration] = field(default_factory=list)

    def awaits(self, target: str) -> bool:
        """Returns whether the target is of a section that this page leaves out."""
        return False

    def figure(self, name: str, note: Markup, options: Sequence[str] = ()) -> Markup:
        if name not in self.figures:
            return Markup("")  # reported when the figures were numbered
        figure = self.figures[name]
        record = self.by_id[figure.section]
        model = self.root / "generators" / "models" / record.model
        lines = declared(self.root, record.source, figure.name)
        with (
            self.problems.collected(record.path, PanelError),
            self.problems.collected(model / ILLUSIONS, JudgeError),
            suppress(TexError),  # reported when the records were scanned
        ):
            chosen, measured, control = self._read(figure, options)
            shown = figure_view.arranged(chosen)
            sets = figure_view.in_sets(shown)
            singles = [row for row in shown.rows if shown.is_grid and not sets and figure_view.repeats(row[1])]
            return render(
                self.root,
                "figure.html.j2",
                figure=shown,
                grid=figure_png.path(figure),
                model=record.model,
                number=self.numbers[name],
                note=note,
                sets=sets,
                singles=singles,
                rows=[row for row in shown.rows if row not in singles],
                show=partial(self.picture, figure),
                control=control,
                measured=measured,
                parameters=parameters(chosen, lambda panel: self.picture(figure, panel).open()),
                judgement=judgement(model, record, chosen),
                mark=confirmations.mark(self.confirmed[record.id], figure.name),
                made=figure_view.how_made(record, figure, lines),
                code=code_address(record.source, lines[0] if lines else 1),
            )
        return Markup("")

    def _read(self, figure: Figure, options: Sequence[str]) -> tuple[Figure, list[str], controls.Control | None]:
        """Returns a figure with the columns to show, the values to show below it, and its control.

        Raises LookupError, PanelError or TexError.
        """
        lists, option = _lists_and_control(options)
        columns, measured = lists.get("columns", []), lists.get("values", [])
        labels = dict.fromkeys(panel.label for panel in figure.panels)
        for name in columns:
            if name not in labels:
                raise LookupError(f"no panel of {figure.id} is called {name!r}; its columns are: {', '.join(labels)}")
        for key in measured:
            if not any(key in panel.found for panel in figure.panels):
                known = ", ".join(sorted({key for panel in figure.panels for key in panel.found})) or "none"
                raise LookupError(f"no panel of {figure.id} found {key!r}; found there: {known}")
        if columns:
            figure = replace(figure, panels=tuple(panel for panel in figure.panels if panel.label in columns))
        return figure, measured, self.control(figure, option) if option else None

    def picture(self, figure: Figure, panel: Panel) -> Picture:
        """Returns a panel of a figure as the page shows it."""
        return Picture(self.by_id[figure.section], figure, panel, self.site)

    def control(self, figure: Figure, option: str) -> controls.Control:
        """Returns a figure's control. Raises LookupError if it would mislead, PanelError if a picture is missing."""
        return controls.control(figure, option, self.picture, self._figure, self.problems.notice)

    def panel(self, target: str) -> Picture:
        """Returns the one panel that `1.8-large[show=upright,pixels=256]` selects. Raises LookupError.

        A condition that no panel meets, as when its prompt is gone, is passed over with a notice; of what is left the
        first is taken.
        """
        figure, conditions = self.named(target)
        panels, unmet = values.closest(figure.panels, conditions)
        if unmet:
            wrong = f"no panel of {figure.id} has {', '.join(unmet)}; {values.nearest(figure.panels, conditions)}"
            self.problems.notice(f"{wrong}; “{panels[0].name}” is shown instead")
        elif len(panels) != 1:
            raise LookupError(f"{target} selects {len(panels)} panels; choose one in [ ]: {values.choices(panels)}")
        return self.picture(figure, panels[0])

    def code(self, target: str, note: Markup, options: Sequence[str] = ()) -> Markup:
        found = excerpt(self.root, target)
        return render(
            self.root,
            "code.html.j2",
            excerpt=found,
            address=code_address(found.path, found.first),
            code=highlighted(found.code),
            note=note,
            folded=bool(options),
            title="".join(options).partition(":")[2].strip(),
        )

    def illustration(self, path: str, alt: str) -> Markup:
        writeup = self.root / "report" / "writeup"
        file = (writeup / path).resolve()
        if "://" in path or not file.is_relative_to(writeup.resolve()):
            raise LookupError(f"the picture {path} is not in report/writeup; copy it there")
        if values.says_nothing(alt):
            raise LookupError(
                f"the picture {path} needs a text for readers who cannot see it: ![what it shows]({path})"
            )
        picture = Illustration(file, alt)
        width, height = picture.image.size
        html = render(self.root, "illustration.html.j2", picture=picture, width=width, height=height)
        self.illustrations.append(picture)
        return Markup(html.strip())

    def reference(self, kind: str, target: str) -> Markup:
        if kind == "sec":
            if target not in self.by_id:
                raise LookupError(
                    f"@sec:{target}: there is no section {target} on the page; it has {', '.join(self.by_id)}"
                )
            return Markup('<a href="#sec-{}">Section\u00a0{}</a>').format(links.anchor(target), target)
        if kind == "fig":
            self._figure(target)
            number = self.numbers.get(target, "?")
            return Markup('<a href="#fig-{}">Figure\u00a0{}</a>').format(links.anchor(target), number)
        value = self._value(target)
        # A number keeps its unit on the line; a text such as an image's name may break.
        return (
            Markup.escape(value) if target.startswith(MINE) else Markup('<span class="value">{}</span>').format(value)
        )

    def _value(self, target: str) -> str:
        """Returns the text of `1.2-blur[t=250].psnr`, `1.4.seconds` or `report.seed`. Raises LookupError."""
        where, _, name = target.rpartition(".")
        if target.startswith(MINE):
            try:
                return values.shown(name, self.settings.value(target.removeprefix(MINE)))
            except LookupError as error:
                raise LookupError(f"@val:{target}: {error.args[0]}") from None
        if re.fullmatch(SECTION, where):
            if where not in self.by_id or name not in SECTION_VALUES:
                raise LookupError(f"@val:{target}: a drawn section has {', '.join(SECTION_VALUES)}")
            return values.shown(name, getattr(self.by_id[where], name))
        try:
            panels = self._panels(where)[1]
            found = list(dict.fromkeys(values.shown(name, values.field(panel, name)) for panel in panels))
            if len(found) > 1:
                raise LookupError(
                    f"{len(panels)} panels with different values; choose one in [ ]: {values.choices(panels)}"
                )
        except LookupError as error:
            raise LookupError(f"@val:{target}: {error.args[0]}") from None
        return found[0]

    def _panels(self, target: str) -> tuple[Figure, list[Panel]]:
        """Returns the panels that a figure's id selects, with conditions in [ ] if any. Raises LookupError."""
        figure, conditions = self.named(target)
        panels = values.select(figure.panels, conditions)
        if not panels:
            raise LookupError(f"no panel of {figure.id} has {conditions}; {values.nearest(figure.panels, conditions)}")
        return figure, panels

    def named(self, target: str) -> tuple[Figure, str]:
        """Returns the figure and the conditions of `1.8-large[show=upright,pixels=256]`. Raises LookupError."""
        match = _PANELS.fullmatch(target)
        if not match:
            raise LookupError(f"{target!r} selects no panel; write 1.8-large[show=upright,pixels=256]")
        return self._figure(match[1]), match[2] or ""

    def pictures(self, target: str) -> list[Picture]:
        """Returns the panels that a target selects. Raises LookupError."""
        figure, panels = self._panels(target)
        return [self.picture(figure, panel) for panel in panels]

    def digest(self, target: str) -> str:
        """Returns the digest of the panels that a target selects; "" if none. Raises LookupError or Undrawn."""
        figure, conditions = self.named(target)
        panels = values.select(figure.panels, conditions)
        return observations.digest(panels) if panels else ""

    def _figure(self, name: str) -> Figure:
        if name not in self.figures:
            raise LookupError(f"there is no figure {name}; {known_figures(self.root, self.model, self.by_id, name)}")
        return self.figures[name]


def section_of(target: str) -> str:
    """Returns the section of a figure, a value or a section: 1.8 of 1.8-lion[k=0], of 1.8.seconds and of 1.8."""
    found = re.match(SECTION, target)
    return found[0] if found else ""


def _lists_and_control(options: Sequence[str]) -> tuple[dict[str, list[str]], str]:
    """Splits a figure directive's options into its lists, by name, and a control, "" if none. Raises LookupError."""
    parts = [[part.strip() for part in option.partition(":")] for option in options]
    lists = {kind: list(filter(None, values.split(rest, ","))) for kind, _, rest in parts if kind in LISTS}
    control = [option for option, (kind, *_) in zip(options, parts, strict=True) if kind not in LISTS]
    if len(lists) + len(control) < len(options) or len(control) > 1:
        raise LookupError("a figure has one control, one `values: …` and one `columns: …`")
    return {kind: list(map(values.unquoted, names)) for kind, names in lists.items()}, "".join(control)


def known_figures(root: Path, model: str, by_id: Mapping[str, Record], figure: str) -> str:
    """Lists, for a message, the figures of the section in which `figure` was not found."""
    section = figure.split("-")[0]
    if section in by_id:
        there = ", ".join(found.id for found in by_id[section].figures) or "none"
        return f"section {section} has: {there}"
    if is_declared(root, section):
        return f"section {section} has not been drawn; {run(f'section {section}', model)}"
    return f"no section {section} is declared; the page has {', '.join(by_id) or 'none'}"


def is_declared(root: Path, section_id: str) -> bool:
    """Whether a module declares the section, drawn or not."""
    return (root / "generators" / "sections" / f"part_{section_id.replace('.', '_')}.py").is_file()
