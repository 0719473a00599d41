"""What a reader can do with a figure: the third part of `/// fig | 1.8-campfire | flip: upright, flipped`.

    slide                     a slider through the columns; `slide: original, t = 250` names its stops, in order
    wipe: noisy, best blur    one picture over the other, of two rows or of two columns; a third name is a mask,
                              whose edge is drawn
    flip: upright, flipped    turns the pictures of the first row over; the names are the fields of the case that hold
                              the two readings
    distance: near, far       steps back from the pictures of the first row; the names likewise
    loupe                     magnifies the pictures of a row together, down to the pixels of the largest
    beside: 1.5-samples       sets the panels of another figure, of the same seeds, above

Each but the last two puts a stage above the figure's grid. The grid stays: it is the form without scripts and in print.
What a control cannot show truly it refuses, with a LookupError that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageOps

from report.records import Figure, Panel

Pixels = Callable[[Panel], Image.Image]


@dataclass(frozen=True)
class View:
    """One picture of a stage: its panels, the lowest first; what stands below it; the SVG path of a mask's edge."""

    panels: tuple[Panel, ...]
    label: str
    readings: tuple[str, ...] = ()
    outline: str = ""


@dataclass(frozen=True)
class Control:
    """What a control needs: names of its ends or stops, the columns that the stops show, the stage's pictures."""

    kind: str
    names: tuple[str, ...] = ()
    columns: tuple[int, ...] = ()
    views: tuple[View, ...] = ()
    other: str = ""  # the figure that `beside` names


def control(figure: Figure, text: str, pixels: Pixels) -> Control:
    """The control that a directive asks for. pixels: gives a panel's image. Raises LookupError."""
    kind, _, rest = (part.strip() for part in text.partition(":"))
    names = [name.strip() for name in rest.split(",") if name.strip()]
    if kind not in _KINDS:
        raise LookupError(f"unknown control {kind!r}; there are: {', '.join(_KINDS)}")
    make, least, most = _KINDS[kind]
    if not least <= len(names) <= most:
        raise LookupError(f"`{kind}` wants {_amount(least, most)}, not {len(names)}; see report/controls.py")
    return make(figure, names, pixels)


def _slide(figure: Figure, names: Sequence[str], _: Pixels) -> Control:
    labels = _columns(figure, "slide")
    stops = names or labels
    for name in stops:
        if name not in labels:
            raise LookupError(f"`slide` names {name!r}; the columns of {figure.id} are: {', '.join(labels)}")
    columns = tuple(labels.index(name) for name in stops)
    views = tuple(View((panels[columns[0]],), row) for row, panels in figure.rows)
    return Control("slide", tuple(stops), columns, views)


def _wipe(figure: Figure, names: Sequence[str], pixels: Pixels) -> Control:
    labels, rows = _columns(figure, "wipe"), dict(figure.rows)
    if set(names) <= set(rows):
        sets = [(label, [rows[name][column] for name in names]) for column, label in enumerate(labels)]
    elif set(names) <= set(labels):
        sets = [(row, [panels[labels.index(name)] for name in names]) for row, panels in figure.rows]
    else:
        known = "; ".join(", ".join(axis) for axis in (rows, labels) if any(axis))
        raise LookupError(f"`wipe` wants names of two rows or of two columns of {figure.id}, which are: {known}")
    views = tuple(
        View(tuple(panels[:2]), label, outline=edge(pixels(panels[2])) if panels[2:] else "") for label, panels in sets
    )
    return Control("wipe", tuple(names[:2]), (), views)


def _flip(figure: Figure, names: Sequence[str], pixels: Pixels) -> Control:
    made = _readings("flip", figure, names)
    for first, second in zip(*(panels for _, panels in figure.rows), strict=True):
        if ImageOps.flip(pixels(first)).tobytes() != pixels(second).tobytes():
            raise LookupError(f"`flip`: panel {second.number} of {figure.id} is not panel {first.number} turned over")
    return made


def _distance(figure: Figure, names: Sequence[str], _: Pixels) -> Control:
    return _readings("distance", figure, names)


def _readings(kind: str, figure: Figure, names: Sequence[str]) -> Control:
    """A control of the pictures of the first row, which can be read in two ways."""
    _columns(figure, kind)
    if len(figure.rows) != 2:
        raise LookupError(f"`{kind}` wants a figure of two rows; {figure.id} has {len(figure.rows)}")
    for panel in figure.panels:
        for name in names:
            if name not in panel.case:
                raise LookupError(
                    f"`{kind}`: no field {name!r}; the cases of {figure.id} have: {', '.join(panel.case)}"
                )
    (_, panels), _ = figure.rows
    views = tuple(View((panel,), panel.label, tuple(str(panel.case[name]) for name in names)) for panel in panels)
    return Control(kind, tuple(row for row, _ in figure.rows), (), views)


def _loupe(figure: Figure, _: Sequence[str], __: Pixels) -> Control:
    if len({panel.width for panel in figure.panels}) < 2:
        raise LookupError(f"`loupe` wants panels of different sizes; those of {figure.id} are all alike")
    return Control("loupe")


def _beside(figure: Figure, names: Sequence[str], _: Pixels) -> Control:
    if len(figure.rows) != 1:
        raise LookupError(f"`beside` wants a figure of one row; {figure.id} has {len(figure.rows)}")
    return Control("beside", other=names[0])


def _columns(figure: Figure, kind: str) -> list[str]:
    """The labels of the columns, where every row has the same."""
    if len(figure.rows) > 1 and not figure.is_grid:
        raise LookupError(f"`{kind}` wants rows with the same labels in the same order; those of {figure.id} differ")
    return [panel.label for panel in figure.rows[0][1]]


def edge(mask: Image.Image) -> str:
    """The border of the white part of a mask as an SVG path, in pixels of the mask."""
    grey = mask.convert("L")

    def white(x: int, y: int) -> bool:
        inside = 0 <= x < grey.width and 0 <= y < grey.height
        return inside and int(grey.getpixel((x, y))) > 127  # type: ignore[arg-type]

    level = [(x, y) for y in range(grey.height + 1) for x in range(grey.width) if white(x, y) != white(x, y - 1)]
    upright = [(x, y) for x in range(grey.width + 1) for y in range(grey.height) if white(x, y) != white(x - 1, y)]
    return _runs(level, 1, 0, "h") + _runs(upright, 0, 1, "v")


def _runs(edges: Sequence[tuple[int, int]], dx: int, dy: int, command: str) -> str:
    """Unit edges in their order, those that follow each other as one line."""
    starts: list[tuple[int, int, int]] = []
    for x, y in edges:
        if starts and (starts[-1][0] + dx * starts[-1][2], starts[-1][1] + dy * starts[-1][2]) == (x, y):
            starts[-1] = (*starts[-1][:2], starts[-1][2] + 1)
        else:
            starts.append((x, y, 1))
    return "".join(f"M{x} {y}{command}{length}" for x, y, length in starts)


def _amount(least: int, most: int) -> str:
    if least == most:
        return f"{least} name{'' if least == 1 else 's'}" if least else "no names"
    return f"{least} to {most} names"


_KINDS: dict[str, tuple[Callable[[Figure, Sequence[str], Pixels], Control], int, int]] = {
    "slide": (_slide, 0, 99),
    "wipe": (_wipe, 2, 3),
    "flip": (_flip, 2, 2),
    "distance": (_distance, 2, 2),
    "loupe": (_loupe, 0, 0),
    "beside": (_beside, 1, 1),
}
