"""What the template of a figure needs beside the record: its layout, and its provenance as printable text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from generators.records.record import Figure, Panel, Record, Trajectory
from report.figures.controls import Control
from report.prose.mathml import plain
from report.prose.values import compact, duration, vary
from report.web.images import pixelated

ORIGINS = {
    "sample": "sampled from noise",
    "edit": "an image, noised and denoised",
    "noised": "an image with noise added",
    "photograph": "an input image",
}
CAPTION_BESIDE = 680  # CSS pixels: no caption fits beside a wider row of pictures

Items = list[tuple[str, str]]  # (which panels, text) pairs


def in_sets(figure: Figure) -> bool:
    """Whether all panels show readings of samples, so that the readings of each sample stand side by side."""
    shows = {panel.case.get("show") for panel in figure.panels}
    return len(shows) > 1 and all(
        isinstance(panel.case.get(panel.case.get("show", "")), str) for panel in figure.panels
    )


def arranged(figure: Figure) -> Figure:
    """Returns a figure as the page shows it: of samples with several readings, a row is a sample."""
    if not (in_sets(figure) and figure.is_grid):
        return figure
    columns = zip(*(panels for _, panels in figure.rows), strict=True)
    return replace(
        figure, panels=tuple(replace(panel, row=panel.label, label=panel.row) for sets in columns for panel in sets)
    )


def scale(figure: Figure) -> int:
    """Returns the CSS pixels per sample pixel, an integer; larger for fewer panels."""
    columns = len(figure.panels) if in_sets(figure) else figure.columns
    if columns <= 2:
        return 4
    return 3 if columns == 3 or (columns == 4 and (len(figure.rows) == 1 or in_sets(figure))) else 2


def layout(figure: Figure, control: Control | None) -> str:
    """Returns the class names that set a figure's columns and its scale, and those of its control."""
    names = [f"columns-{min(figure.columns, 8)}", f"scale-{scale(figure)}"]
    if not all(map(pixelated, figure.panels)):
        names.append("fine")
    across = figure.columns
    if in_sets(figure):
        names.append("sets")
        across = len(figure.panels)
    needs_width = control is not None and control.kind in ("slide", "loupe")
    if not needs_width and 64 * scale(figure) * across <= CAPTION_BESIDE:
        names.append("aside")
    return " ".join([*names, *([control.layout] if control and not control.verb else [])])


def repeats(panels: list[Panel]) -> bool:
    """Whether a grid's row repeats one picture, so that it is shown once, above the grid."""
    return len(panels) > 1 and len({panel.pixels for panel in panels}) == 1


def how_made(record: Record, figure: Figure, lines: tuple[int, int] | None) -> list[tuple[str, Items]]:
    """Returns a figure's provenance: (term, items) pairs. Where its panels differ, each item names its panels.

    lines: of the figure's declaration.
    """
    facts: list[tuple[str, Items]] = []

    def add(term: str, text: Callable[[Panel], str]) -> None:
        items = [(plain(which), found) for which, found in vary(figure.panels, text) if found]
        if items:
            facts.append((term, items))

    add("Not learned", lambda panel: "; ".join(filter(None, map(record.hints.get, panel.prompts))))
    add("Enlarging", lambda panel: "; then ".join(map(enlarging, panel.of_stage(2, 3))))
    add("Kind", lambda panel: ORIGINS.get(panel.origin, panel.origin))
    add("Size", lambda panel: f"{panel.width} × {panel.height}")
    whole = [
        ("Model", f"{record.model}, weights SHA-256 {record.digest[:12]}"),
        *((term[0].upper() + term[1:], text) for term, text in record.settings.items()),
        ("Device", f"{record.device}, {record.dtype}"),
        *_effort(record, figure),
        ("Source", record.source + (f", {line_numbers(*lines)}" if lines else "")),
        ("Versions", versions(record)),
    ]
    return facts + [(term, [("", text)]) for term, text in whole]


def _effort(record: Record, figure: Figure) -> list[tuple[str, str]]:
    """Returns the network evaluations and the time of a figure and of its section."""
    time = f"{duration(record.seconds)} for the whole section"
    if not record.evaluations:
        return [("Time", time)]
    calls = f"{count(record.evaluations, 'evaluation')} in {count(record.network_calls, 'call')}"
    walks = figure.trajectories
    if any(walk.number is None for walk in walks):  # an older version, which does not say what panels share
        return [("Network", f"{calls} in the whole section"), ("Time", time)]
    here = count(sum(walk.evaluations for walk in walks), "evaluation")
    seconds = duration(sum(walk.seconds for walk in walks))
    return [
        ("Network", f"{here} here; the whole section: {calls}"),
        ("Time", f"{seconds} of network here; {time}"),
    ]


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
