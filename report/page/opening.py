"""What the page opens with, named in report/writeup/intro.md: results to try, and a picture for each section.

/// lead
0-stages[prompt=a mobius strip,steps=100,pixels=1024]
1.8-large[show=upright,pixels=256] | flip: upright, flipped
1.9-large[show=near,pixels=256] | distance: near, far
///

/// contents
1.8 | 1.8-lion[show=upright,k=0]
///
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from report.figures import figure_view
from report.figures.controls import VIEWS, Control
from report.page.directives import Directives
from report.prose.markup import OPENING, Prose
from report.prose.mathml import TexError
from report.records.record import Figure, Panel, Record
from report.web.images import PanelError

LEAD, CONTENTS = OPENING
TRIED = (*VIEWS, "distance")  # the controls that work on one picture alone


@dataclass(frozen=True)
class Exhibit:
    """One result of the first screen: its panel, its control, and what a control that performs a view turns it into."""

    record: Record
    figure: Figure
    panel: Panel
    number: int
    picture: figure_view.PanelView
    turned: figure_view.PanelView | None = None
    control: Control | None = None

    @property
    def asked(self) -> str:
        """The prompt that was asked for, beside the empty one of guidance."""
        return next(filter(None, self.panel.prompts), "")


def exhibits(prose: Prose | None, directives: Directives) -> list[Exhibit]:
    """What `/// lead` names; what is wrong with a line becomes a problem of it."""
    found = []
    for line, text in _lines(prose, LEAD):
        assert prose
        try:
            found.append(_exhibit(text, directives))
        except LookupError as error:
            prose.problem(line, str(error.args[0]))
        except PanelError as error:
            prose.problem(line, str(error))
        except TexError:
            continue  # reported when the records were scanned
    return found


def _exhibit(text: str, directives: Directives) -> Exhibit:
    target, _, option = (part.strip() for part in text.partition("|"))
    record, figure, panel = directives.panel(target)
    made = Exhibit(record, figure, panel, directives.numbers.get(figure.id, 0), figure_view.panel_view(figure, panel))
    if not option:
        return made
    control = directives.control(record, figure, option)
    if control.kind not in TRIED:
        raise LookupError(f"`{control.kind}` needs its whole figure; here there are: {', '.join(TRIED)}")
    first, second = (panels for _, panels in figure.rows)
    if panel not in first:
        raise LookupError(f"{target} is not of the first row, with which `{control.kind}` begins")
    turned = figure_view.panel_view(figure, second[first.index(panel)]) if control.kind in VIEWS else None
    return replace(made, turned=turned, control=control)


def thumbnails(prose: Prose | None, directives: Directives) -> dict[str, tuple[Record, Figure, Panel]]:
    """Section id -> the panel that `/// contents` names for it."""
    found = {}
    for line, text in _lines(prose, CONTENTS):
        assert prose
        section, _, target = (part.strip() for part in text.partition("|"))
        try:
            if section not in directives.by_id:
                raise LookupError(
                    f"there is no section {section!r} on the page; write 1.8 | 1.8-lion[show=upright,k=0]"
                )
            found[section] = directives.panel(target)
        except LookupError as error:
            prose.problem(line, str(error.args[0]))
    return found


def _lines(prose: Prose | None, kind: str) -> list[tuple[int, str]]:
    """(line, text) of all that the directives of a kind hold."""
    return [
        (directive.line + offset, text.strip())
        for directive in (prose.directives if prose else ())
        if directive.kind == kind
        for offset, text in enumerate(directive.body, 1)
        if text.strip()
    ]
