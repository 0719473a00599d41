"""The opening of the page, named in report/writeup/intro.md: exhibits, a picture for each section, and the logo.

/// lead
0-stages[prompt=a mobius strip,steps=100,pixels=1024]
1.8-large[show=upright,pixels=256] | flip: upright, flipped
1.9-large[show=near,pixels=256] | distance: near, far
///

/// contents
1.8 | 1.8-lion[show=upright,k=0]
///

/// logo
1.8-large[show=upright,pixels=256] | flip: upright, flipped
///
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from generators.records.errors import PanelError, TexError
from generators.records.record import Figure, Panel, Record
from report.figures import figure_view
from report.figures.controls import VIEWS, Control
from report.page.directives import Directives
from report.prose.markup import OPENING, Prose

T = TypeVar("T")
LEAD, CONTENTS, LOGO = OPENING
SINGLE_PICTURE_CONTROLS = (*VIEWS, "distance")  # the controls that work on a single picture


@dataclass(frozen=True)
class Exhibit:
    """One result on the first screen: its panel, its control, and the other panel, into which a view turns it.

    number: of its figure. picture, turned: the panel and the other one, for the templates.
    """

    record: Record
    figure: Figure
    panel: Panel
    number: int
    picture: figure_view.PanelView
    other: Panel | None = None
    turned: figure_view.PanelView | None = None
    control: Control | None = None

    @property
    def prompt(self) -> str:
        """The panel's prompt, not the empty one of guidance."""
        return next(filter(None, self.panel.prompts), "")


def exhibits(prose: Prose | None, directives: Directives) -> list[Exhibit]:
    """Returns the exhibits of `/// lead`; a faulty line becomes a problem."""
    return _read(prose, LEAD, lambda text: _exhibit(text, directives))


def logo(prose: Prose | None, directives: Directives) -> Exhibit | None:
    """Returns the exhibit of `/// logo`, if it names one; a faulty line or a second one becomes a problem."""
    for line, _ in _lines(prose, LOGO)[1:]:
        assert prose
        prose.problem(line, "a second logo; the page has one, so remove this line or the first")
    return next(iter(_read(prose, LOGO, lambda text: _exhibit(text, directives))), None)


def _exhibit(text: str, directives: Directives) -> Exhibit:
    target, _, option = (part.strip() for part in text.partition("|"))
    record, figure, panel = directives.panel(target)
    made = Exhibit(record, figure, panel, directives.numbers.get(figure.id, 0), figure_view.panel_view(figure, panel))
    if not option:
        return made
    control = directives.control(record, figure, option)
    if control.kind not in SINGLE_PICTURE_CONTROLS:
        raise LookupError(
            f"`{control.kind}` needs its whole figure; possible here: {', '.join(SINGLE_PICTURE_CONTROLS)}"
        )
    first, second = (panels for _, panels in figure.rows)
    if panel not in first:
        raise LookupError(f"{target} is not in the first row, where `{control.kind}` starts")
    if control.kind not in VIEWS:
        return replace(made, control=control)
    other = second[first.index(panel)]
    return replace(made, other=other, turned=figure_view.panel_view(figure, other), control=control)


def thumbnails(prose: Prose | None, directives: Directives) -> dict[str, tuple[Record, Figure, Panel]]:
    """Returns section id -> the panel that `/// contents` names for it; a faulty line becomes a problem."""

    def thumbnail(text: str) -> tuple[str, tuple[Record, Figure, Panel]]:
        section, _, target = (part.strip() for part in text.partition("|"))
        if section not in directives.by_id:
            raise LookupError(f"there is no section {section!r} on the page; write 1.8 | 1.8-lion[show=upright,k=0]")
        return section, directives.panel(target)

    return dict(_read(prose, CONTENTS, thumbnail))


def _read(prose: Prose | None, kind: str, read: Callable[[str], T]) -> list[T]:
    """Returns what `read` makes of the lines in directives of this kind, but for faulty lines."""
    found = []
    for line, text in _lines(prose, kind):
        assert prose
        try:
            found.append(read(text))
        except (LookupError, PanelError) as error:
            prose.problem(line, str(error.args[0]))
        except TexError:
            continue  # reported when the records were scanned
    return found


def _lines(prose: Prose | None, kind: str) -> list[tuple[int, str]]:
    """Returns (line number, text) of everything in directives of this kind."""
    return [
        (directive.line + offset, text.strip())
        for directive in (prose.directives if prose else ())
        if directive.kind == kind
        for offset, text in enumerate(directive.body, 1)
        if text.strip()
    ]
