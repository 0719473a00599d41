"""What the page opens with, chosen by name in report/intro.md: a few results to try, and a picture for each section.

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

from dataclasses import dataclass

from report import views
from report.answers import Answers
from report.markup import OPENING, Prose
from report.mathml import TexError
from report.records import Figure, Panel, Record
from report.web_images import PanelError

LEAD, CONTENTS = OPENING
TRIED = ("flip", "distance")  # the controls that work on one picture alone


@dataclass(frozen=True)
class Exhibit:
    """One result of the first screen: its panel, what a flip turns that into, and the control's kind and names."""

    record: Record
    figure: Figure
    panel: Panel
    number: int
    picture: views.PanelView
    turned: views.PanelView | None = None
    kind: str = ""
    names: tuple[str, ...] = ()
    readings: tuple[str, ...] = ()

    @property
    def asked(self) -> str:
        """The prompt that was asked for, beside the empty one of guidance."""
        return next(filter(None, self.panel.prompts), "")


def exhibits(prose: Prose | None, answers: Answers) -> list[Exhibit]:
    """What `/// lead` names; what is wrong with a line becomes a problem of it."""
    found = []
    for line, text in _lines(prose, LEAD):
        assert prose
        try:
            found.append(_exhibit(text, answers))
        except LookupError as error:
            prose.problem(line, str(error.args[0]))
        except PanelError as error:
            prose.problem(line, str(error))
        except TexError:
            continue  # reported when the records were scanned
    return found


def _exhibit(text: str, answers: Answers) -> Exhibit:
    target, _, wish = (part.strip() for part in text.partition("|"))
    record, figure, panel = answers.panel(target)
    made = Exhibit(record, figure, panel, answers.numbers.get(figure.id, 0), views.panel_view(figure, panel))
    if not wish:
        return made
    control = answers.control(record, figure, wish)
    if control.kind not in TRIED:
        raise LookupError(f"`{control.kind}` needs its whole figure; here there are: {', '.join(TRIED)}")
    first, second = (panels for _, panels in figure.rows)
    if panel not in first:
        raise LookupError(f"{target} is not of the first row, with which `{control.kind}` begins")
    turned = views.panel_view(figure, second[first.index(panel)]) if control.kind == "flip" else None
    return Exhibit(
        record, figure, panel, made.number, made.picture, turned, control.kind, control.names, control.readings
    )


def thumbnails(prose: Prose | None, answers: Answers) -> dict[str, tuple[Record, Figure, Panel]]:
    """Section id -> the panel that `/// contents` names for it."""
    found = {}
    for line, text in _lines(prose, CONTENTS):
        assert prose
        section, _, target = (part.strip() for part in text.partition("|"))
        try:
            if section not in answers.by_id:
                raise LookupError(
                    f"there is no section {section!r} on the page; write 1.8 | 1.8-lion[show=upright,k=0]"
                )
            found[section] = answers.panel(target)
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
