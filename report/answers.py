"""What prose may ask of the page: figures, tables, code excerpts, references and values, all from the records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from report import links, values, verdicts, views
from report.controls import Control, control
from report.excerpt import declared, excerpt, highlighted
from report.markup import FIGURE
from report.mathml import TexError, rich_or_plain
from report.problems import Problems
from report.records import Figure, Record
from report.shell import render
from report.web_images import PanelError, open_panel

SECTION_VALUES = ("seconds", "evaluations", "network_calls")


class Answers:
    """Answers from the records of one build (`markup.Page`).

    by_id: the sections drawn. figures: by id, each with its section's record. numbers: the figures' on the page.
    """

    def __init__(
        self,
        root: Path,
        site: Path,
        problems: Problems,
        by_id: Mapping[str, Record],
        figures: Mapping[str, tuple[Record, Figure]],
        numbers: Mapping[str, int],
    ) -> None:
        self.root, self.site, self.problems = root, site, problems
        self.by_id, self.figures, self.numbers = by_id, figures, numbers

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
        return render(self.root, "figure.html.j2", figure=view, mark=mark)

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
        return render(self.root, "table.html.j2", heads=heads, rows=rows, link=link, note=note)

    def code(self, target: str, note: Markup) -> Markup:
        found = excerpt(self.root, target)
        return render(self.root, "code.html.j2", excerpt=found, code=highlighted(found.code), note=note)

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
            raise LookupError(f"there is no figure {name}; {known_figures(self.by_id, name)}")
        return self.figures[name]


def known_figures(by_id: Mapping[str, Record], figure: str) -> str:
    """Which figures there are where `figure` was looked for, for a message."""
    section = figure.split("-")[0]
    if section in by_id:
        there = ", ".join(found.id for found in by_id[section].figures) or "none"
        return f"section {section} has: {there}"
    return f"no section {section} has been drawn; run `report section {section}`"
