"""What the prose expects of the page, checked against records of which some are not drawn yet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from markupsafe import Markup

from generators.records.errors import PanelError, TexError
from report.page.directives import Directives
from report.page.report_page import ReportPage
from report.records.undrawn import Undrawn


class Expected(Directives):
    """The directives without their pictures. What only drawing tells passes."""

    def figure(self, name: str, note: Markup, options: Sequence[str] = ()) -> Markup:
        if name in self.figures:
            with suppress(Undrawn, PanelError, TexError):  # the build reports the others
                self._values_and_control(self.figures[name], options)
        return Markup("")

    def reference(self, kind: str, target: str) -> Markup:
        with suppress(Undrawn):
            return super().reference(kind, target)
        return Markup("")


class ExpectedPage(ReportPage):
    """A page of which some sections are not drawn yet. It can be read, not rendered."""

    answers = Expected
