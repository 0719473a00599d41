"""A figure as one PNG to download: matplotlib sets labels and caption, and Pillow pastes the panels between them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from generators.records.record import Figure
from report.prose.mathml import split
from report.web.images import as_png, digest, pixelated

LAYOUT = 2  # increase it when the drawing below changes: grids are cached by digest
GAP, MARGIN, LINE, POINTS = 12, 28, 18, 100


def path(figure: Figure) -> str:
    """Returns the grid's path in the site; the name contains a digest of everything it shows."""
    shows = [[panel.pixels, panel.row, panel.label] for panel in figure.panels]
    return f"figures/{figure.id}-grid-{digest([LAYOUT, figure.id, figure.caption, shows])}.png"


def compose(figure: Figure, images: Sequence[Image.Image], info: PngInfo) -> bytes:
    """Returns the grid as PNG. images: one per panel, in the figure's order. info: the file's text chunks."""
    # Imported late, because importing matplotlib takes longer than building the page.
    import numpy as np
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    cell = 192 if all(map(pixelated, figure.panels)) else 256
    per_row = figure.columns if figure.is_grid or figure.columns <= 8 else 8
    named = any(row for row, _ in figure.rows)
    rows = []  # (name, panels), long rows wrapped
    for name, panels in figure.rows:
        for start in range(0, len(panels), per_row):
            rows.append((name if not start else "", panels[start : start + per_row]))

    left = MARGIN + (130 if named else 0)
    width = max(left + per_row * cell + (per_row - 1) * GAP + MARGIN, 640)
    letters = max((cell + GAP) // 7, 12)
    deepest = max(len(_wrap(panel.label, letters)) for panel in figure.panels)
    header = deepest * LINE + 8
    caption = _wrap(f"{figure.id}  {figure.caption}", max((width - 2 * MARGIN) // 8, 40))
    step = cell + GAP + (0 if figure.is_grid else header)
    top = MARGIN + (header if figure.is_grid else 0)
    height = top + len(rows) * step + LINE * len(caption) + MARGIN

    with rc_context({"font.family": "STIXGeneral", "mathtext.fontset": "stix", "font.size": 11}):
        texts = Canvas(figsize=(width / POINTS, height / POINTS), dpi=POINTS, facecolor="white")
        canvas = FigureCanvasAgg(texts)
        places: dict[int, tuple[int, int]] = {}  # of the panels' pictures, by number

        def write(x: float, y: float, text: str, **style: object) -> None:
            texts.text(x / width, 1 - y / height, text, va="top", **style)  # type: ignore[arg-type]

        for index, (name, panels) in enumerate(rows):
            y = top + index * step
            if name:
                write(MARGIN, y + 4, "\n".join(_wrap(name, 17)), color="#444444")
            for column, panel in enumerate(panels):
                x = left + column * (cell + GAP)
                places[panel.number] = (x, y)
                label = "\n".join(_wrap(panel.label, letters))
                if not figure.is_grid:
                    write(x + cell / 2, y + cell + 5, label, ha="center")
                elif index == 0:
                    write(x + cell / 2, MARGIN, label, ha="center")
        write(MARGIN, top + len(rows) * step + 6, "\n".join(caption), color="#222222", size=12)
        canvas.draw()
    grid = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    for panel, image in zip(figure.panels, images, strict=True):  # as axes, each would take longer than all texts
        resampling = Image.Resampling.NEAREST if pixelated(panel) else Image.Resampling.LANCZOS
        grid.paste(image.resize((cell, cell), resampling), places[panel.number])
    return as_png(grid, pnginfo=info)  # optimised, the grids of a report would take 8 s instead of 1, for 2 % less


def _wrap(text: str, letters: int) -> list[str]:
    """Wraps to lines of at most so many letters. Formulas stay whole; TeX that matplotlib cannot set stays plain."""
    from matplotlib.mathtext import MathTextParser

    formulas: dict[str, str] = {}  # by the letters that stand for them, about as many as a formula is wide

    def keep(tex: str) -> str:
        try:
            MathTextParser("path").parse(f"${tex}$")
        except ValueError:
            return tex
        stand_in = chr(0xE000 + len(formulas)) * max(1, len(tex) // 3)
        formulas[stand_in] = f"${tex}$"
        return stand_in

    kept = "".join(keep(part) if is_tex else part.replace("$", r"\$") for is_tex, part in split(text))
    lines = textwrap.wrap(kept, letters, break_long_words=False) or [""]
    for stand_in, formula in formulas.items():
        lines = [line.replace(stand_in, formula) for line in lines]
    return lines
