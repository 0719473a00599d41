"""A page of the sections that are drawn, where the others are left out: to look at one section of another model."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from generators.records.record import Figure
from report.page.directives import Directives, is_declared, section_of
from report.page.report_page import ReportPage
from report.records.undrawn import Undrawn


class Partial(Directives):
    """The directives where what is asked of a section that is left out is given in plain words, without a link."""

    def awaits(self, target: str) -> bool:
        section = section_of(target)
        return section not in self.by_id and is_declared(self.root, section)

    def figure(self, name: str, note: Markup, options: Sequence[str] = ()) -> Markup:
        try:
            return super().figure(name, note, options)
        except Undrawn:  # its control needs another figure
            return super().figure(name, note, [option for option in options if option.startswith("values")])

    def reference(self, kind: str, target: str) -> Markup:
        if not self.awaits(target):
            return super().reference(kind, target)
        words = {"sec": f"Section\u00a0{target}", "fig": f"Figure\u00a0{target}", "val": "…"}
        return Markup.escape(words[kind])

    def _figure(self, name: str) -> Figure:
        if self.awaits(name):
            raise Undrawn(name)
        return super()._figure(name)


class PartialPage(ReportPage):
    """The page of the drawn sections alone."""

    answers = Partial
