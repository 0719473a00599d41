"""What a reader can do with a figure: the third part of `/// fig | 1.8-campfire | flip: upright, flipped`.

    slide: fox, i_start = 10  a slider through the columns, which begins in the row and at the column named, or else in
                              the first and at the last; the panel that it stands at is shown large
    wipe: noisy, best blur    lays the first of two rows, or of two columns, over the second; a third name is a mask,
                              whose edge is drawn
    wipe: 1.5-samples         lays the panels of another figure, of the same seeds, over a figure's own
    flip: upright, flipped    turns the first row over, which gives the second; the names are the fields of the case
                              that hold the two readings
    rotate: one, other        the same for a quarter or a half turn
    invert: one, other        the same for a negative
    rearrange: one, other     the same for pixels or pieces that change places
    distance: near, far       steps back from the first row; the names likewise
    loupe                     magnifies the pictures of a row together, down to the pixels of the largest

A control works on the figure's own grid: no picture stands there twice. Without scripts and in print the grid is all.
What a control cannot show truly it refuses, with a LookupError that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image, ImageOps

from report.records.record import Figure, Panel
from report.records.values import shown

Pixels = Callable[[Panel], Image.Image]
Other = Callable[[str], Figure]


@dataclass(frozen=True)
class Over:
    """What a wipe lays over a panel: a panel, of the figure that it belongs to, and the SVG path of a mask's edge."""

    figure: Figure
    panel: Panel
    outline: str = ""


@dataclass(frozen=True)
class Control:
    """What a control needs.

    names: of its ends, or of its stops. verb: what the switch of a control that performs a view says. angle: of a
    rotation, in degrees counterclockwise. start: the row and the column of the panel at which a slider begins.
    readings: what the two rows are to be read as. over: by the number of a panel, what a wipe lays over it.
    """

    kind: str
    names: tuple[str, ...] = ()
    verb: str = ""
    angle: int = 0
    start: tuple[int, int] = (0, 0)
    readings: tuple[str, ...] = ()
    over: dict[int, Over] = field(default_factory=dict)

    @property
    def layout(self) -> str:
        """The class names by which the stylesheet knows the control."""
        return " ".join([self.kind, *(["turn"] if self.verb else []), *([f"by-{self.angle}"] if self.angle else [])])


def control(figure: Figure, text: str, pixels: Pixels, other: Other) -> Control:
    """The control that a directive asks for. pixels: gives a panel's image; other: a figure of the page by its id.

    Raises LookupError.
    """
    kind, _, rest = (part.strip() for part in text.partition(":"))
    names = [name.strip() for name in rest.split(",") if name.strip()]
    if kind not in _KINDS:
        raise LookupError(f"unknown control {kind!r}; there are: {', '.join(_KINDS)}")
    make, least, most = _KINDS[kind]
    if not least <= len(names) <= most:
        raise LookupError(f"`{kind}` wants {_amount(least, most)}, not {len(names)}; see report/figures/controls.py")
    return make(figure, names, pixels, other)


def _slide(figure: Figure, names: Sequence[str], _: Pixels, __: Other) -> Control:
    labels, rows = _columns(figure, "slide"), [row for row, _ in figure.rows]
    row, column = 0, len(labels) - 1
    for name in names:
        if name in labels:
            column = labels.index(name)
        elif name in rows:
            row = rows.index(name)
        else:
            known = "; ".join(", ".join(axis) for axis in (rows, labels) if any(axis))
            raise LookupError(f"`slide` names {name!r}; the rows and columns of {figure.id} are: {known}")
    return Control("slide", tuple(labels), start=(row, column))


def _wipe(figure: Figure, names: Sequence[str], pixels: Pixels, other: Other) -> Control:
    if len(names) == 1:
        return _against(figure, other(names[0]))
    labels, rows = _columns(figure, "wipe"), dict(figure.rows)
    if set(names) <= set(rows):
        sets = [[rows[name][column] for name in names] for column in range(len(labels))]
    elif set(names) <= set(labels):
        sets = [[panels[labels.index(name)] for name in names] for _, panels in figure.rows]
    else:
        known = "; ".join(", ".join(axis) for axis in (rows, labels) if any(axis))
        raise LookupError(f"`wipe` wants names of two rows or of two columns of {figure.id}, which are: {known}")
    over = {own.number: Over(figure, first, edge(pixels(mask[0])) if mask else "") for first, own, *mask in sets}
    return Control("wipe", tuple(names[:2]), over=over)


def _against(figure: Figure, other: Figure) -> Control:
    """A wipe against the panels of another figure, which must show the same noise."""
    if [panel.seeds for panel in other.panels] != [panel.seeds for panel in figure.panels]:
        raise LookupError(f"`wipe`: the panels of {other.id} have other seeds than those of {figure.id}")
    over = {own.number: Over(other, first) for own, first in zip(figure.panels, other.panels, strict=True)}
    return Control("wipe", (_guidance(other), _guidance(figure)), over=over)


def _guidance(figure: Figure) -> str:
    gamma = figure.panels[0].gamma
    return "no guidance" if gamma is None else f"γ = {shown('gamma', gamma)}"


def _flip(figure: Figure, names: Sequence[str], pixels: Pixels, _: Other) -> Control:
    return _view("flip", "Turn over", {0: ImageOps.flip}, figure, names, pixels)


def _rotate(figure: Figure, names: Sequence[str], pixels: Pixels, _: Other) -> Control:
    def rotation(angle: int) -> Callable[[Image.Image], Image.Image]:
        return lambda image: image.rotate(angle)  # multiples of 90 degrees move whole pixels

    return _view("rotate", "Rotate", {angle: rotation(angle) for angle in (90, 180, 270)}, figure, names, pixels)


def _invert(figure: Figure, names: Sequence[str], pixels: Pixels, _: Other) -> Control:
    return _view("invert", "Invert", {0: ImageOps.invert}, figure, names, pixels)


def _rearrange(figure: Figure, names: Sequence[str], pixels: Pixels, _: Other) -> Control:
    def sorted_pixels(image: Image.Image) -> Image.Image:
        values = image.tobytes()
        found = sorted(values[k : k + 3] for k in range(0, len(values), 3))
        return Image.frombytes("RGB", image.size, b"".join(found))

    return _view(
        "rearrange", "Rearrange", {0: sorted_pixels}, figure, names, lambda panel: sorted_pixels(pixels(panel))
    )


def _view(
    kind: str,
    verb: str,
    views: Mapping[int, Callable[[Image.Image], Image.Image]],
    figure: Figure,
    names: Sequence[str],
    pixels: Pixels,
) -> Control:
    """A control that turns the first row into the second by one of the views, which are given by their angles."""
    made = _readings(kind, figure, names)
    pairs = list(zip(*(panels for _, panels in figure.rows), strict=True))
    images = [(pixels(first), pixels(second).tobytes()) for first, second in pairs]
    wrong = {}  # angle: the first pair that is not each other's view
    for angle, view in views.items():
        failed = (pair for pair, (one, other) in zip(pairs, images, strict=True) if view(one).tobytes() != other)
        wrong[angle] = next(failed, None)
        if wrong[angle] is None:
            return replace(made, verb=verb, angle=angle)
    first, second = next(filter(None, wrong.values()))
    does = _DONE[kind]
    raise LookupError(f"`{kind}`: panel {second.number} of {figure.id} is not panel {first.number} {does}")


_DONE = {"flip": "turned over", "rotate": "rotated", "invert": "inverted", "rearrange": "rearranged"}
VIEWS = tuple(_DONE)  # the controls that turn the first row of a figure into the second


def _distance(figure: Figure, names: Sequence[str], _: Pixels, __: Other) -> Control:
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
            if panel.case[name] != figure.panels[0].case[name]:
                raise LookupError(f"`{kind}` wants the same readings in all panels; {name!r} differs in {figure.id}")
    readings = tuple(str(figure.panels[0].case[name]) for name in names)
    return Control(kind, tuple(row for row, _ in figure.rows), readings=readings)


def _loupe(figure: Figure, _: Sequence[str], __: Pixels, ___: Other) -> Control:
    if len({panel.width for panel in figure.panels}) < 2:
        raise LookupError(f"`loupe` wants panels of different sizes; those of {figure.id} are all alike")
    return Control("loupe")


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


_KINDS: dict[str, tuple[Callable[[Figure, Sequence[str], Pixels, Other], Control], int, int]] = {
    "slide": (_slide, 0, 2),
    "wipe": (_wipe, 1, 3),
    "flip": (_flip, 2, 2),
    "rotate": (_rotate, 2, 2),
    "invert": (_invert, 2, 2),
    "rearrange": (_rearrange, 2, 2),
    "distance": (_distance, 2, 2),
    "loupe": (_loupe, 0, 0),
}
