"""A figure as one PNG to download: panels, labels and caption, set by matplotlib."""

from __future__ import annotations

import hashlib
import io
import json
import textwrap
from collections.abc import Sequence

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from generators.records.record import Figure
from report.prose.mathml import INLINE

LAYOUT = 2  # increase it when the drawing below changes: grids are cached by digest
GAP, MARGIN, LINE, POINTS = 12, 28, 18, 100


def path(figure: Figure) -> str:
    """Returns the grid's path in the site; the name contains a digest of everything it shows."""
    shows = [[panel.pixels, panel.row, panel.label] for panel in figure.panels]
    digest = hashlib.sha256(json.dumps([LAYOUT, figure.id, figure.caption, shows]).encode()).hexdigest()
    return f"figures/{figure.id}-grid-{digest[:12]}.png"


def compose(figure: Figure, images: Sequence[Image.Image], info: PngInfo) -> bytes:
    """Returns the grid as PNG. images: one per panel, in the figure's order. info: the file's text chunks."""
    # Imported late, because importing matplotlib takes longer than building the page.
    import numpy as np
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    largest = max(max(image.size) for image in images)
    cell = 192 if largest <= 64 else 256
    per_row = figure.columns if figure.is_grid or figure.columns <= 8 else 8
    named = any(row for row, _ in figure.rows)
    rows = []  # (row's name, [(panel, image)]), long rows wrapped
    pictures = dict(zip((panel.number for panel in figure.panels), images, strict=True))
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
        canvas = Canvas(figsize=(width / POINTS, height / POINTS), dpi=POINTS, facecolor="white")
        drawn = FigureCanvasAgg(canvas)
        places: list[tuple[Image.Image, tuple[int, int]]] = []

        def write(x: float, y: float, text: str, **style: object) -> None:
            canvas.text(x / width, 1 - y / height, text, va="top", **style)  # type: ignore[arg-type]

        for index, (name, panels) in enumerate(rows):
            y = top + index * step
            if name:
                write(MARGIN, y + 4, "\n".join(_wrap(name, 17)), color="#444444")
            for column, panel in enumerate(panels):
                x = left + column * (cell + GAP)
                places.append((pictures[panel.number], (x, y)))
                label = "\n".join(_wrap(panel.label, letters))
                if not figure.is_grid:
                    write(x + cell / 2, y + cell + 5, label, ha="center")
                elif index == 0:
                    write(x + cell / 2, MARGIN, label, ha="center")
        write(MARGIN, top + len(rows) * step + 6, "\n".join(caption), color="#222222", size=12)
        drawn.draw()
    grid = Image.fromarray(np.asarray(drawn.buffer_rgba())).convert("RGB")
    for picture, place in places:  # not as matplotlib's axes, each of which takes longer than all texts
        way = Image.Resampling.NEAREST if max(picture.size) <= 64 else Image.Resampling.LANCZOS
        grid.paste(picture.resize((cell, cell), way), place)
    data = io.BytesIO()
    grid.save(data, "PNG", pnginfo=info)  # optimised, the grids of a report would take 8 s instead of 1, for 2 % less
    return data.getvalue()


def _wrap(text: str, letters: int) -> list[str]:
    """Wraps to lines of at most so many letters. Formulas stay whole; TeX that matplotlib cannot set stays plain."""
    from matplotlib.mathtext import MathTextParser

    formulas: list[str] = []

    def keep(tex: str) -> str:
        try:
            MathTextParser("path").parse(f"${tex}$")
        except ValueError:
            return tex
        formulas.append(f"${tex}$")
        return chr(0xE000 + len(formulas) - 1) * max(1, len(tex) // 3)

    parts = INLINE.split(text)
    kept = "".join(
        keep(part) if odd else part.replace("\\$", "$").replace("$", r"\$")
        for odd, part in ((index % 2, part) for index, part in enumerate(parts))
    )
    lines = textwrap.wrap(kept, letters, break_long_words=False) or [""]
    whole = []
    for line in lines:
        for index, formula in enumerate(formulas):
            mark = chr(0xE000 + index)
            run = mark * max(1, len(formula[1:-1]) // 3)
            line = line.replace(run, formula)
        whole.append(line)
    return whole
