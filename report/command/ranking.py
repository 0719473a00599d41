"""Reports the results of a search: a table for the terminal, a sheet of the best pairs as PNG, all scores as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from generators.making.judging.search import Pairing, Result
from generators.records.record import parsed

from ..figures import figure_png
from ..web import metadata
from . import picture

LISTED, SHOWN = 20, 12  # pairs in the table and on the sheet


def table(results: Sequence[Result]) -> list[str]:
    """Returns a table of the best pairs, one line each, with the scores of their best samples.

    ranks: of each reading among 20 prompts, by the first and the second judge.
    """
    lines = [f"{'':>4} {'alignment':>9} {'concealment':>11}  {'ranks':11}  pair"]
    for place, result in enumerate(results[:LISTED], 1):
        best = result.samples[0]
        ranks = " ".join("/".join(map(str, best[judge])) for judge in ("ranks", "second"))
        pair = " + ".join(result.pair)
        lines.append(
            f"{place:3}. {best['alignment']:9.2f} {best['concealment']:11.2f}  {ranks:11}  {pair}  (sample {best['k']})"
        )
    return lines


def write(png: Path, pairing: Pairing, results: Sequence[Result]) -> None:
    """Writes the sheet and the scores. `results` must not be empty."""
    panels, images = [], []
    for place, result in enumerate(results[:SHOWN], 1):
        best = result.samples[0]
        for panel in result.record["figures"][0]["panels"]:
            if panel["case"]["k"] == best["k"]:
                row = f"{place}. alignment {best['alignment']:.2f}, concealment {best['concealment']:.2f}"
                panels.append({**panel, "row": row, "label": f"{panel['row']}: {panel['case']['prompt']}"})
                with Image.open(result.folder / panel["file"]) as image:
                    images.append(image.convert("RGB"))
    caption = f"The best of {len(results)} pairs, {pairing.name}"
    sheet = {**results[0].record, "figures": [{"name": "best", "caption": caption, "panels": panels}]}
    record = parsed(sheet, png)
    picture.write(
        png, figure_png.compose(record.figures[0], images, metadata.png(record, record.figures[0])), _numbers(results)
    )


def _numbers(results: Sequence[Result]) -> dict[str, Any]:
    common = ("id", "model", "dtype", "device", "versions")
    return {
        "format": 1,
        **{key: results[0].record[key] for key in common},
        "pairs": [
            {
                "readings": result.record["figures"][0]["caption"],
                "evaluations": result.record["evaluations"],
                "seconds": result.record["seconds"],
                "samples": result.samples,
            }
            for result in results
        ],
    }
