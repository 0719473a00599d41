"""The opening of the page, named in report/writeup/intro.md: exhibits, a picture for each section, and the logo.
A value with a comma or a bracket is quoted, as in 1.8-lion[prompt="a dog, running",k=0].

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

from dataclasses import dataclass
from typing import Any

from generators.records.errors import PanelError, TexError
from report.figures.controls import VIEWS, Control
from report.page.directives import Directives
from report.prose.markup import OPENING, Prose
from report.prose.values import split
from report.records.undrawn import Undrawn
from report.web.images import Picture

LEAD, CONTENTS, LOGO = OPENING
SINGLE_PICTURE_CONTROLS = (*VIEWS, "distance")  # the controls that work on a single picture


@dataclass(frozen=True)
class Exhibit:
    """One result on the first screen: its picture, its control, and the picture into which a view turns it."""

    picture: Picture
    turned: Picture | None = None
    control: Control | None = None


@dataclass(frozen=True)
class Opening:
    """What the directives name: the exhibits, a picture for each section id, and the logo."""

    exhibits: list[Exhibit]
    thumbnails: dict[str, Picture]
    logo: Exhibit | None


def opening(prose: Prose | None, directives: Directives) -> Opening:
    """Reads the opening of the page; a faulty line or a second logo becomes a problem."""
    found: dict[str, list[Any]] = {kind: [] for kind in OPENING}
    read = {LEAD: _exhibit, CONTENTS: _thumbnail, LOGO: _exhibit}
    logos = 0
    for kind, line, text in _lines(prose):
        assert prose
        if kind == LOGO:
            logos += 1
            if logos > 1:
                prose.problem(line, "a second logo; the page has one, so remove this line or the first")
        try:
            with prose.problems.at(prose.path, line):
                found[kind].append(read[kind](text, directives))
        except (LookupError, PanelError) as error:
            prose.problem(line, str(error.args[0]))
        except (TexError, Undrawn):
            continue  # TeX is in the name of a row or column, which is reported when the records are scanned
    return Opening(found[LEAD], dict(found[CONTENTS]), next(iter(found[LOGO]), None))


def _lines(prose: Prose | None) -> list[tuple[str, int, str]]:
    """Returns (kind of directive, line number, text) of everything in the directives of the opening."""
    return [
        (directive.kind, directive.line + offset, text.strip())
        for directive in (prose.directives if prose else ())
        if directive.kind in OPENING
        for offset, text in enumerate(directive.body, 1)
        if text.strip()
    ]


def _two_parts(text: str) -> tuple[str, str]:
    """Splits a line at its first |; the second part is "" if there is none."""
    first, *rest = split(text, "|")
    return first, " | ".join(rest)


def _exhibit(text: str, directives: Directives) -> Exhibit:
    target, option = _two_parts(text)
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


def _thumbnail(text: str, directives: Directives) -> tuple[str, Picture]:
    section, target = _two_parts(text)
    if directives.awaits(section):
        raise Undrawn(section)
    if section not in directives.by_id:
        known = ", ".join(directives.by_id)
        raise LookupError(f"there is no section {section!r} on the page, which has {known}; write 1.8 | 1.8-lion[k=0]")
    return section, directives.panel(target)
