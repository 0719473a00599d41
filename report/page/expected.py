"""What the prose expects of the page, checked against records of which some are not drawn yet."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import suppress

from markupsafe import Markup

from generators.records.errors import PanelError, TexError
from report.page import links
from report.page.directives import Directives
from report.page.report_page import ReportPage
from report.records.undrawn import Undrawn


class Expected(Directives):
    """The directives without their pictures. What only drawing tells passes."""

    def figure(self, name: str, note: Markup, options: Sequence[str] = ()) -> Markup:
        if name in self.figures:
            with suppress(Undrawn, PanelError, TexError):  # the build reports the others
                self._read(self.figures[name], options)
        return Markup("")

    def reference(self, kind: str, target: str) -> Markup:
        with suppress(Undrawn):
            return super().reference(kind, target)
        return Markup("")


class ExpectedPage(ReportPage):
    """A page of which some sections are not drawn yet. It can be read, not rendered."""

    answers = Expected

    def check_anchors(self) -> None:
        """Adds links to sections and figures that no declaration has to the problems."""
        sections, texts = self.read()
        known = {f"#sec-{links.anchor(name)}" for name in self.by_id}
        known |= {f"#fig-{links.anchor(name)}" for name in self.numbers}
        html = "".join([*(section["html"] for section in sections), *texts.values()])
        for address in dict.fromkeys(own.get("href", "") for _, own in links.elements(html)):
            if address.startswith(("#sec-", "#fig-")) and address not in known:
                near = difflib.get_close_matches(address, sorted(known), 3, 0)
                wrong = f"{address} leads nowhere; the nearest are {', '.join(near)}"
                self.problems.add(*self.find(address), wrong)
