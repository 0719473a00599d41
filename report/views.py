"""What the templates are given: figures, their panels and how they were made, as plain values ready to print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from markupsafe import Markup

from report import grids
from report.controls import Control
from report.links import anchor
from report.mathml import plain, rich
from report.records import Figure, Panel, Record
from report.values import compact, duration, ranges, shown, vary
from report.web_images import forms, pixelated

ORIGINS = {
    "sample": "sampled from noise",
    "edit": "an image, noised and denoised",
    "noised": "an image with noise added",
    "photograph": "an input image",
}


@dataclass(frozen=True)
class Source:
    """One <source> of a picture."""

    type: str
    srcset: str


@dataclass(frozen=True)
class PanelView:
    """One panel: the fallback file, better forms in `sources`, and the full-size file where that is larger."""

    src: str
    sources: list[Source]
    full: str
    width: int
    height: int
    alt: str
    label: Markup
    pixelated: bool


@dataclass(frozen=True)
class Heading:
    """The header of a row or column; `spoken` says its formulas in words, where it has any (axe reads no MathML)."""

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
class StageView:
    """A picture of a control's stage: its images, the lowest first, and what stands below."""

    panels: list[PanelView]
    label: Markup
    readings: list[str]
    outline: str


@dataclass(frozen=True)
class Stage:
    """A figure's control: its kind, the names of its ends or (name, column) of its stops, its pictures, their size."""

    kind: str
    names: list[str]
    stops: list[tuple[str, int]]
    views: list[StageView]


@dataclass(frozen=True)
class Beside:
    """Another figure, and its number, whose panels stand above a figure's own."""

    figure: Figure
    number: int


@dataclass(frozen=True)
class FigureView:
    """A figure as the template draws it. `layout` is the class names that choose its columns and its scale."""

    id: str
    number: int
    caption: Markup
    note: Markup
    layout: str
    sizes: str
    is_grid: bool
    headers: list[Heading]
    rows: list[tuple[Heading, list[PanelView]]]
    grid: str
    record: str
    stage: Stage | None = None
    made: list[Fact] = field(default_factory=list)


def figure_view(
    record: Record,
    figure: Figure,
    number: int,
    note: Markup,
    lines: tuple[int, int] | None = None,
    control: Control | None = None,
    beside: Beside | None = None,
) -> FigureView:
    """Everything the figure's template prints. lines: where its source declares it.

    Raises TexError on bad TeX in a caption or a label.
    """
    columns, fine = figure.columns, any(not pixelated(panel) for panel in figure.panels)
    # The stage shows the pictures large; below it the grid is for comparing.
    scale = 2 if control and control.views and columns > 2 else _scale(figure)
    layout = f"columns-{min(columns, 8)} scale-{scale}{' fine' if fine else ''}"
    rows = [(heading(name), [panel_view(figure, panel) for panel in panels]) for name, panels in figure.rows]
    if beside:
        theirs = [panel_view(beside.figure, panel) for panel in beside.figure.panels]
        rows = [(_guidance(beside.figure, beside), theirs), (_guidance(figure), rows[0][1])]
    return FigureView(
        id=figure.id,
        number=number,
        caption=rich(figure.caption),
        note=note,
        layout=layout,
        sizes=f"{64 * scale}px",
        is_grid=figure.is_grid or bool(beside),
        headers=[heading(panel.label) for panel in figure.rows[0][1]] if figure.is_grid or beside else [],
        rows=rows,
        grid=grids.path(figure),
        record=f"records/{record.id}.json",
        stage=_stage(figure, control) if control and not beside else None,
        made=how_made(record, figure, lines),
    )


def _stage(figure: Figure, control: Control) -> Stage:
    return Stage(
        control.kind,
        [plain(name) for name in control.names],
        [(plain(name), column) for name, column in zip(control.names, control.columns, strict=False)],
        [
            StageView(
                [panel_view(figure, panel) for panel in view.panels],
                rich(view.label),
                list(view.readings),
                view.outline,
            )
            for view in control.views
        ],
    )


def _guidance(figure: Figure, beside: Beside | None = None) -> Heading:
    """The header of a row of samples that stand beside others: how they were guided."""
    gamma = figure.panels[0].gamma
    text = Markup("no guidance") if gamma is None else Markup("γ = {}").format(shown("gamma", gamma))
    where = Markup(' (<a href="#fig-{}">Figure {}</a>)').format(anchor(figure.id), beside.number) if beside else ""
    return Heading(text + where, "")


def heading(text: str) -> Heading:
    """A header of a row or a column. Raises TexError."""
    html = rich(text)
    return Heading(html, plain(text) if "<math" in html else "")


def panel_view(figure: Figure, panel: Panel) -> PanelView:
    files = forms(figure, panel)
    kinds = list(dict.fromkeys(form.format for form in files))
    sources = []
    for kind in kinds if len(files) > 1 else []:
        of_kind = [form for form in files if form.format == kind]
        srcset = ", ".join(f"{form.path} {form.width}w" for form in of_kind) if len(of_kind) > 1 else of_kind[0].path
        sources.append(Source(of_kind[0].type, srcset))
    return PanelView(
        src=next(form.path for form in files if form.format == kinds[-1]),
        sources=sources,
        full=files[-1].path,
        width=panel.width,
        height=panel.height,
        alt=plain(panel.alt),
        label=rich(panel.label),
        pixelated=pixelated(panel),
    )


def how_made(record: Record, figure: Figure, lines: tuple[int, int] | None) -> list[Fact]:
    """The facts behind a figure; where its panels differ, each value says whose it is."""
    facts = []

    def add(term: str, text: Callable[[Panel], str], code: bool = False) -> None:
        items = [(plain(which), found) for which, found in vary(figure.panels, text) if found]
        if items:
            facts.append(Fact(term, items, code))

    def prompts(panel: Panel) -> str:
        return ", ".join(f"“{prompt}”" if prompt else "“” (the empty prompt)" for prompt in panel.prompts)

    add("Prompt", prompts)
    add("Seed", lambda panel: ranges(panel.seeds))
    add("Guidance γ", lambda panel: "" if panel.gamma is None else shown("gamma", panel.gamma))
    add("Timesteps", lambda panel: compact(panel.timesteps))
    add("Enlarging", lambda panel: compact(panel.later_timesteps))
    add("Kind", lambda panel: ORIGINS.get(panel.origin, panel.origin))
    add("Size", lambda panel: f"{panel.width} × {panel.height}")
    # Panels that show one run, such as both sides of an anagram, each record all of it: it is counted once.
    runs = {(panel.seeds, panel.prompts, panel.gamma, panel.timesteps, panel.inputs): panel for panel in figure.panels}
    evaluations = sum(panel.evaluations for panel in runs.values())

    def fact(term: str, text: str, code: bool = False) -> None:
        facts.append(Fact(term, [("", text)], code))

    fact("Model", f"{record.model}, weights SHA-256 {record.digest[:12]}")
    for term, text in record.settings.items():
        fact(term[0].upper() + term[1:], text)
    fact("Device", f"{record.device}, {record.dtype}")
    if record.evaluations:
        whole = f"{count(record.evaluations, 'evaluation')} in {count(record.network_calls, 'call')}"
        fact("Network", f"{count(evaluations, 'evaluation')} here; the whole section: {whole}")
        seconds = sum(panel.seconds for panel in runs.values())
        fact("Time", f"{duration(seconds)} of network here; {duration(record.seconds)} for the whole section")
    else:
        fact("Time", f"{duration(record.seconds)} for the whole section")
    fact("Source", record.source + (f", {place(*lines)}" if lines else ""))
    fact("Versions", versions(record))
    facts.append(Fact("Draw it again", [("", redraw(record))], code=True, copy=True))
    return facts


def place(first: int, last: int) -> str:
    """Lines of a file: line 7, lines 7–12."""
    return f"line {first}" if first == last else f"lines {first}–{last}"


def count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def versions(record: Record) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(record.versions.items()))


def redraw(record: Record) -> str:
    """The command that draws a section once more; pocket is what `make` draws with unless told otherwise."""
    model = "" if record.model == "pocket" else f" MODEL={record.model}"
    return f"make section S={record.id}{model}"


def trajectory(records: list[Record]) -> tuple[Record, Figure, list[Panel]] | None:
    """Up to seven panels from noise to image, from section 1.4, for the page's head; None where there are none such."""
    for record in (record for record in records if record.id == "1.4"):
        for figure in sorted(record.figures, key=lambda figure: figure.name != "trajectory"):
            row = max((panels for _, panels in figure.rows), key=len)
            panels = [panel for panel in row if pixelated(panel)]
            if len(panels) >= 4:
                kept = min(len(panels), 7)
                chosen = [panels[round(index * (len(panels) - 1) / (kept - 1))] for index in range(kept)]
                return record, figure, chosen
    return None


def _scale(figure: Figure) -> int:
    """CSS pixels a sample's pixel, an integer: as large as the page's 960 pixels let so many columns be."""
    columns = figure.columns
    if columns <= 2 and all(panel.width > 512 for panel in figure.panels):
        return 7
    if columns >= 8 and figure.is_grid:
        return 1
    return 4 if columns <= 3 else 3 if columns == 4 else 2
