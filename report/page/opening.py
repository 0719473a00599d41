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
from dataclasses import dataclass
from typing import TypeVar

from generators.records.errors import PanelError, TexError
from report.figures.controls import VIEWS, Control
from report.page.directives import Directives
from report.prose.markup import OPENING, Prose
from report.web.images import Picture

T = TypeVar("T")
LEAD, CONTENTS, LOGO = OPENING
SINGLE_PICTURE_CONTROLS = (*VIEWS, "distance")  # the controls that work on a single picture


@dataclass(frozen=True)
class Exhibit:
    """One result on the first screen: its picture, its control, and the picture into which a view turns it."""

    picture: Picture
    turned: Picture | None = None
    control: Control | None = None


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
    picture = directives.panel(target)
    figure = picture.figure
    if not option:
        return Exhibit(picture)
    control = directives.control(figure, option)
    if control.kind not in SINGLE_PICTURE_CONTROLS:
        raise LookupError(
            f"`{control.kind}` needs its whole figure; possible here: {', '.join(SINGLE_PICTURE_CONTROLS)}"
        )
    first, second = (panels for _, panels in figure.rows)
    if picture.panel not in first:
        raise LookupError(f"{target} is not in the first row, where `{control.kind}` starts")
    turned = directives.picture(figure, second[first.index(picture.panel)]) if control.kind in VIEWS else None
    return Exhibit(picture, turned, control)


def thumbnails(prose: Prose | None, directives: Directives) -> dict[str, Picture]:
    """Returns section id -> the picture that `/// contents` names for it; a faulty line becomes a problem."""

    def thumbnail(text: str) -> tuple[str, Picture]:
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
            continue  # in the name of a row or column, which is reported when the records are scanned
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
