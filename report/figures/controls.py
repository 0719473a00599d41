"""Interactive controls of a figure: the third part of `/// fig | 1.8-campfire | flip: upright, flipped`.

    slide: t = 690, t = 540   a slider through the panels of a row, which shows the selected one enlarged and starts at
                              the last; the named panels stand large before the others, those that are gone do not
    wipe: noisy, best blur    overlays the first of two rows, or of two columns, on the second; a third name is a mask,
                              whose edge is drawn
    wipe: 1.5-samples         overlays the panels of another figure with the same seeds
    flip: upright, flipped    the second row is the first one flipped, which is checked; in the opening, a switch turns
                              the picture. The names are the fields of the case that hold the two readings
    rotate: one, other        the same for a quarter or a half turn
    invert: one, other        the same for a negative
    rearrange: one, other     the same for permuted pixels or pieces
    distance: near, far       shrinks the first row; names as for `flip`
    loupe                     magnifies the pictures of a row together, down to the pixels of the largest

A name with a comma is quoted, as in `wipe: "a dog, running", "a dog, asleep"`.
A control works on the figure's own grid, so no picture appears twice; without scripts and in print the grid is shown. A
control that would mislead is refused with a LookupError that gives the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image, ImageChops, ImageOps, ImageStat

from generators.records.record import Figure, Panel
from report.prose.mathml import plain
from report.prose.values import shown, split, unquoted
from report.web.images import Picture

LOSSY = 2  # of 255: the mean difference that encoding may make between a picture and its view


@dataclass(frozen=True)
class Request:
    """A control that a directive asks for: its kind, the figure, and the names behind the colon.

    picture: returns a panel's picture. other: returns a figure of the page by id. notice: tells the author something.
    """

    kind: str
    figure: Figure
    names: Sequence[str]
    picture: Callable[[Figure, Panel], Picture]
    other: Callable[[str], Figure]
    notice: Callable[[str], object]

    def pixels(self, panel: Panel) -> Image.Image:
        return self.picture(self.figure, panel).open()


@dataclass(frozen=True)
class Overlay:
    """What a wipe overlays on a panel: a picture, and the SVG path of a mask's edge."""

    picture: Picture
    outline: str = ""


@dataclass(frozen=True)
class Control:
    """The data of a control.

    names: of its ends or stops. verb: the label of the switch of a control that performs a view, in the opening. angle:
    of a rotation, in degrees counterclockwise. large: the labels of the panels that stand large beside a slider.
    readings: the two readings of the two rows. overlays: by panel number, what a wipe overlays on it.
    """

    kind: str
    names: tuple[str, ...] = ()
    verb: str = ""
    angle: int = 0
    large: tuple[str, ...] = ()
    readings: tuple[str, ...] = ()
    overlays: dict[int, Overlay] = field(default_factory=dict)

    @property
    def layout(self) -> str:
        """The class names by which the stylesheet knows the control."""
        return " ".join([self.kind, *(["turn"] if self.verb else []), *([f"by-{self.angle}"] if self.angle else [])])


def control(
    figure: Figure,
    text: str,
    picture: Callable[[Figure, Panel], Picture],
    other: Callable[[str], Figure],
    notice: Callable[[str], object],
) -> Control:
    """Returns the control that the text of a directive asks for; the functions are those of `Request`.

    Raises LookupError if the control is unknown, malformed, or does not fit the figure, and TexError on bad TeX in the
    name of a row or column.
    """
    kind, _, rest = (part.strip() for part in text.partition(":"))
    names = [unquoted(name) for name in split(rest, ",") if name]
    if kind not in _KINDS:
        raise LookupError(f"unknown control {kind!r}; known: {', '.join(_KINDS)}")
    make, least, most = _KINDS[kind]
    if not least <= len(names) <= most:
        raise LookupError(f"`{kind}` takes {_amount(least, most)}, not {len(names)}; see report/figures/controls.py")
    made = make(Request(kind, figure, names, picture, other, notice))
    return replace(made, names=tuple(map(plain, made.names)))


def _slide(request: Request) -> Control:
    figure = request.figure
    if len(figure.rows) > 1:
        raise LookupError(f"`slide` needs a figure of one row; {figure.id} has {len(figure.rows)}")
    labels = _columns(request)
    for name in request.names:
        if name not in labels:
            known = _listed(labels)
            request.notice(f"`slide` names {name!r}; the panels of {figure.id} are: {known}; it is passed over")
    large = tuple(name for name in request.names if name in labels)
    return Control("slide", tuple(labels), large=large)


def _wipe(request: Request) -> Control:
    figure, names = request.figure, request.names
    if len(names) == 1:
        return _wipe_against(request, request.other(names[0]))
    labels, rows = _columns(request), dict(figure.rows)
    if set(names) <= set(rows):
        sets = [[rows[name][column] for name in names] for column in range(len(labels))]
    elif set(names) <= set(labels):
        sets = [[panels[labels.index(name)] for name in names] for _, panels in figure.rows]
    else:
        raise LookupError(f"`wipe` takes two rows or two columns of {figure.id}, which are: {_listed(rows, labels)}")
    overlays = {}
    for first, second, *mask in sets:
        outline = edge(request.pixels(mask[0])) if mask else ""
        overlays[second.number] = Overlay(request.picture(figure, first), outline)
    return Control("wipe", tuple(names[:2]), overlays=overlays)


def _wipe_against(request: Request, other: Figure) -> Control:
    """A wipe against the panels of another figure, which must have the same seeds."""
    figure = request.figure
    if [panel.seeds for panel in other.panels] != [panel.seeds for panel in figure.panels]:
        raise LookupError(f"`wipe`: the panels of {other.id} have other seeds than those of {figure.id}")
    pairs = zip(other.panels, figure.panels, strict=True)
    overlays = {second.number: Overlay(request.picture(other, first)) for first, second in pairs}
    return Control("wipe", (_guidance(other), _guidance(figure)), overlays=overlays)


def _guidance(figure: Figure) -> str:
    gamma = figure.panels[0].gamma
    return f"γ = {shown('gamma', gamma)}" if gamma else "no guidance"


def _equal(one: Image.Image, other: Image.Image, tolerance: int = 0) -> bool:
    """Compares two RGB images; tolerance: by how many of 255 levels a value may differ.

    Of images above 64 pixels, which may have been published lossily, the mean difference counts.
    """
    difference = ImageChops.difference(one, other)
    if one.width > 64:
        return max(ImageStat.Stat(difference).mean) <= LOSSY + tolerance
    return max(highest for _, highest in difference.getextrema()) <= tolerance  # type: ignore


def _flipped(angle: int, first: Image.Image, second: Image.Image) -> bool:
    return _equal(ImageOps.flip(first), second)


def _rotated(angle: int, first: Image.Image, second: Image.Image) -> bool:
    return _equal(first.rotate(angle), second)  # multiples of 90 degrees move whole pixels


def _inverted(angle: int, first: Image.Image, second: Image.Image) -> bool:
    # A value half-way between two levels rounds to the even one, in an image and in its negative.
    return _equal(ImageOps.invert(first), second, tolerance=1)


def _rearranged(angle: int, first: Image.Image, second: Image.Image) -> bool:
    values = (image.tobytes() for image in (first, second))
    one, other = (sorted(each[k : k + 3] for k in range(0, len(each), 3)) for each in values)
    return one == other


# The controls that turn the first row of a figure into the second: the label of the switch, what it does to a picture,
# whether one picture is the view of another, and at which angles to try.
_VIEWS = {
    "flip": ("Turn over", "flipped", _flipped, (0,)),
    "rotate": ("Rotate", "rotated", _rotated, (90, 180, 270)),
    "invert": ("Invert", "inverted", _inverted, (0,)),
    "rearrange": ("Rearrange", "rearranged", _rearranged, (0,)),
}
VIEWS = tuple(_VIEWS)


def _view(request: Request) -> Control:
    """A control that maps the first row to the second by a view, at one of its angles."""
    verb, done, is_view, angles = _VIEWS[request.kind]
    made = _readings(request)
    pairs = list(zip(*(panels for _, panels in request.figure.rows), strict=True))
    images = [(request.pixels(first), request.pixels(second)) for first, second in pairs]
    wrong = []  # for each angle, the first pair that is not each other's view
    for angle in angles:
        failed = next((pair for pair, both in zip(pairs, images, strict=True) if not is_view(angle, *both)), None)
        if failed is None:
            return replace(made, verb=verb, angle=angle)
        wrong.append(failed)
    first, second = wrong[0]
    raise LookupError(
        f"`{request.kind}`: panel {second.number} of {request.figure.id} is not panel {first.number} {done}"
    )


def _readings(request: Request) -> Control:
    """A control on the pictures of the first row, each with two readings."""
    kind, figure = request.kind, request.figure
    _columns(request)
    if len(figure.rows) != 2:
        raise LookupError(f"`{kind}` needs a figure of two rows; {figure.id} has {len(figure.rows)}")
    for panel in figure.panels:
        for name in request.names:
            if name not in panel.case:
                raise LookupError(
                    f"`{kind}`: no field {name!r}; the cases of {figure.id} have: {', '.join(panel.case)}"
                )
            if panel.case[name] != figure.panels[0].case[name]:
                raise LookupError(f"`{kind}` needs the same readings in all panels; {name!r} differs in {figure.id}")
    readings = tuple(str(figure.panels[0].case[name]) for name in request.names)
    return Control(kind, tuple(row for row, _ in figure.rows), readings=readings)


def _loupe(request: Request) -> Control:
    if len({panel.width for panel in request.figure.panels}) < 2:
        raise LookupError(f"`loupe` needs panels of different sizes; those of {request.figure.id} are all equal")
    return Control("loupe")


def _columns(request: Request) -> list[str]:
    """Returns the column labels, which must be the same in every row."""
    figure = request.figure
    if len(figure.rows) > 1 and not figure.is_grid:
        raise LookupError(
            f"`{request.kind}` needs rows with the same labels in the same order; those of {figure.id} differ"
        )
    return [panel.label for panel in figure.rows[0][1]]


def _listed(*axes: Iterable[str]) -> str:
    """Lists the names of rows and columns, for a message."""
    return "; ".join(", ".join(axis) for axis in axes if any(axis))


def edge(mask: Image.Image) -> str:
    """Returns the border of a mask's white part as an SVG path, in pixels of the mask."""
    # A frame of black makes the edge of the image one of the mask. Row and column k here are k - 1 there.
    white = ImageOps.expand(mask.convert("L").point(lambda grey: grey > 127), 1)
    width, height, values = white.width, white.height, white.tobytes()
    places = [(x, y, y * width + x) for y in range(1, height) for x in range(1, width)]
    level = [(x - 1, y - 1) for x, y, here in places if values[here] != values[here - width]]
    upright = sorted((x - 1, y - 1) for x, y, here in places if values[here] != values[here - 1])
    return _runs(level, 1, 0, "h") + _runs(upright, 0, 1, "v")


def _runs(edges: Sequence[tuple[int, int]], dx: int, dy: int, command: str) -> str:
    """Merges consecutive unit edges into lines."""
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


# For each kind, what makes it, and how many names it takes, at least and at most.
_KINDS: dict[str, tuple[Callable[[Request], Control], int, int]] = {
    "slide": (_slide, 0, 8),
    "wipe": (_wipe, 1, 3),
    **dict.fromkeys(VIEWS, (_view, 2, 2)),
    "distance": (_readings, 2, 2),
    "loupe": (_loupe, 0, 0),
}
