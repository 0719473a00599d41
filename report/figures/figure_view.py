"""The templates' input: figures, panels and provenance as plain, printable values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter

from markupsafe import Markup

from generators.records.record import Figure, Panel, Record, Trajectory
from report.figures import figure_png
from report.figures.controls import Control, Overlay
from report.figures.judgement import Judgement
from report.prose.mathml import plain, rich
from report.prose.values import compact, duration, ranges, shown, title, vary
from report.web.images import Form, forms, pixelated

ORIGINS = {
    "sample": "sampled from noise",
    "edit": "an image, noised and denoised",
    "noised": "an image with noise added",
    "photograph": "an input image",
}
CAPTION_BESIDE = 680  # CSS pixels: no caption fits beside a wider row of pictures


@dataclass(frozen=True)
class Source:
    """One <source> of a picture."""

    type: str
    srcset: str


@dataclass(frozen=True)
class PanelView:
    """One panel: the fallback file, better formats in `sources`, and the full-size file if it is larger.

    values: measurements, as text. overlay, outline: the picture that a wipe overlays, and a mask's edge.
    """

    src: str
    sources: list[Source]
    full: str
    width: int
    height: int
    alt: str
    label: Markup
    pixelated: bool
    values: list[str] = field(default_factory=list)
    overlay: PanelView | None = None
    outline: str = ""


@dataclass(frozen=True)
class Heading:
    """The header of a row or column; `spoken` spells out its formulas, if any (axe ignores MathML)."""

    text: Markup
    spoken: str


@dataclass(frozen=True)
class Fact:
    """One line of "How this was made": a term, and (which panels, text) pairs."""

    term: str
    items: list[tuple[str, str]]
    code: bool = False
    copy: bool = False


@dataclass(frozen=True)
class FigureView:
    """A figure as the template draws it. `layout`: the class names that set its columns and its scale.

    singles: rows that repeat one picture, to be shown once. verdicts: the judge's.
    """

    id: str
    number: int
    caption: Markup
    note: Markup
    layout: str
    sizes: str
    is_grid: bool
    headers: list[Heading]
    singles: list[tuple[Heading, PanelView]]
    rows: list[tuple[Heading, list[PanelView]]]
    grid: str
    record: str
    control: Control | None
    verdicts: list[tuple[str, int, str]]
    made: list[Fact]


def figure_view(
    record: Record,
    figure: Figure,
    *,
    number: int,
    note: Markup,
    lines: tuple[int, int] | None = None,
    control: Control | None = None,
    measured: Sequence[str] = (),
    judgement: Judgement | None = None,
) -> FigureView:
    """Returns the data of a figure's template. lines: of its declaration. measured: names of the values to show.

    Raises TexError on bad TeX in a caption or a label.
    """
    kind, overlays = (control.kind, control.overlays) if control else ("", {})
    ranks = judgement.ranks if judgement else {}
    scale, rows, singles = _scale(figure), [], []
    for name, panels in figure.rows:
        cells = [
            _cell(figure, panel, measured, overlay=overlays.get(panel.number), rank=ranks.get(panel.number))
            for panel in panels
        ]
        if figure.is_grid and len(panels) > 1 and len({panel.pixels for panel in panels}) == 1:
            singles.append((heading(name), cells[0]))
        else:
            rows.append((heading(name), cells))
    wide = 64 * scale * figure.columns > CAPTION_BESIDE or kind in ("slide", "loupe")
    layout = [
        f"columns-{min(figure.columns, 8)} scale-{scale}",
        "" if all(map(pixelated, figure.panels)) else "fine",
        "" if wide else "aside",
        control.layout if control else "",
    ]
    return FigureView(
        id=figure.id,
        number=number,
        caption=rich(figure.caption),
        note=note,
        layout=" ".join(filter(None, layout)),
        sizes="128px" if kind == "loupe" else f"{64 * scale}px",
        is_grid=figure.is_grid,
        headers=[heading(panel.label) for panel in figure.rows[0][1]] if figure.is_grid else [],
        singles=singles,
        rows=rows,
        grid=figure_png.path(figure),
        record=f"records/{record.id}.json",
        control=control,
        verdicts=judgement.verdicts if judgement else [],
        made=how_made(record, figure, lines),
    )


def _cell(
    figure: Figure, panel: Panel, measured: Sequence[str], *, overlay: Overlay | None, rank: int | None
) -> PanelView:
    """Returns a panel with everything shown in its cell."""
    view = panel_view(figure, panel)
    return replace(
        view,
        alt=view.alt if rank is None else f"{view.alt}; the judge ranks this reading number {rank}",
        values=[f"{title(name)} {shown(name, panel.found[name])}" for name in measured if name in panel.found],
        overlay=panel_view(overlay.figure, overlay.panel) if overlay else None,
        outline=overlay.outline if overlay else "",
    )


def heading(text: str) -> Heading:
    """Returns the header of a row or a column. Raises TexError on bad TeX."""
    html = rich(text)
    return Heading(html, plain(text) if "<math" in html else "")


def panel_view(figure: Figure, panel: Panel) -> PanelView:
    *better, fallback = (list(of_format) for _, of_format in groupby(forms(figure, panel), attrgetter("format")))
    return PanelView(
        src=fallback[0].path,
        sources=[_source(of_format) for of_format in better],
        full=fallback[-1].path,
        width=panel.width,
        height=panel.height,
        alt=plain(panel.alt),
        label=rich(panel.label),
        pixelated=pixelated(panel),
    )


def _source(files: Sequence[Form]) -> Source:
    """Returns the <source> of a panel's files of one format."""
    if len(files) == 1:
        return Source(files[0].type, files[0].path)
    return Source(files[0].type, ", ".join(f"{form.path} {form.width}w" for form in files))


def reduced_view(figure: Figure, panel: Panel, form: Form) -> PanelView:
    """Returns a panel shown by one smaller file, with its own file as the fallback."""
    view = panel_view(figure, panel)
    return replace(view, sources=[_source([form])], pixelated=False)


def how_made(record: Record, figure: Figure, lines: tuple[int, int] | None) -> list[Fact]:
    """Returns a figure's provenance; where its panels differ, each value names its panels."""
    facts = []

    def add(term: str, text: Callable[[Panel], str], code: bool = False) -> None:
        items = [(plain(which), found) for which, found in vary(figure.panels, text) if found]
        if items:
            facts.append(Fact(term, items, code))

    def prompts(panel: Panel) -> str:
        return ", ".join(f"“{prompt}”" if prompt else "“” (the empty prompt)" for prompt in panel.prompts)

    add("Prompt", prompts)
    add("Seed", lambda panel: ranges(panel.seeds))
    add("Guidance γ", lambda panel: shown("gamma", panel.gamma))
    add("Timesteps", lambda panel: compact(panel.timesteps))
    add("Enlarging", lambda panel: "; then ".join(map(enlarging, panel.of_stage(2, 3))))
    add("Kind", lambda panel: ORIGINS.get(panel.origin, panel.origin))
    add("Size", lambda panel: f"{panel.width} × {panel.height}")
    # A record of an older version does not say which panels share a trajectory.
    counted = all(walk.number is not None for walk in figure.trajectories)

    def fact(term: str, text: str, code: bool = False) -> None:
        facts.append(Fact(term, [("", text)], code))

    fact("Model", f"{record.model}, weights SHA-256 {record.digest[:12]}")
    for term, text in record.settings.items():
        fact(term[0].upper() + term[1:], text)
    fact("Device", f"{record.device}, {record.dtype}")
    whole = f"{duration(record.seconds)} for the whole section"
    if record.evaluations:
        calls = f"{count(record.evaluations, 'evaluation')} in {count(record.network_calls, 'call')}"
        here = count(sum(walk.evaluations for walk in figure.trajectories), "evaluation")
        fact("Network", f"{here} here; the whole section: {calls}" if counted else f"{calls} in the whole section")
        if counted:
            whole = f"{duration(sum(walk.seconds for walk in figure.trajectories))} of network here; {whole}"
    fact("Time", whole)
    fact("Source", record.source + (f", {line_numbers(*lines)}" if lines else ""))
    fact("Versions", versions(record))
    facts.append(Fact("Draw it again", [("", redraw(record))], code=True, copy=True))
    return facts


def enlarging(walk: Trajectory) -> str:
    """Formats what a later stage did: 500, 383 … 8 (8 steps), seed 1,000,042."""
    return compact(walk.timesteps) + ("" if walk.seed is None else f", seed {walk.seed:,}")


def line_numbers(first: int, last: int) -> str:
    """Formats a range of lines: line 7, lines 7–12."""
    return f"line {first}" if first == last else f"lines {first}–{last}"


def count(number: int, one: str) -> str:
    """Formats a number of things: 1 call, 1,234 calls."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def versions(record: Record) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(record.versions.items()))


def redraw(record: Record) -> str:
    """Returns the command that redraws a section; `make` uses pocket by default."""
    model = "" if record.model == "pocket" else f" MODEL={record.model}"
    return f"make section S={record.id}{model}"


def _scale(figure: Figure) -> int:
    """Returns the CSS pixels per sample pixel, an integer; larger for fewer panels."""
    columns = figure.columns
    if columns <= 2:
        return 4
    return 3 if columns == 3 or (columns == 4 and len(figure.rows) == 1) else 2
