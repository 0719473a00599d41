"""Reports the results of a search: a table for the terminal, a sheet of the best pairs as PNG, all scores as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from generators.making.judging.search import Pairing, Result

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


def sheet(pairing: Pairing, results: Sequence[Result]) -> bytes:
    """Returns the best samples of the best pairs as one PNG. `results` must not be empty."""
    panels, files = [], []
    for place, result in enumerate(results[:SHOWN], 1):
        best = result.samples[0]
        row = f"{place}. alignment {best['alignment']:.2f}, concealment {best['concealment']:.2f}"
        for panel in result.record["figures"][0]["panels"]:
            if panel["case"]["k"] == best["k"]:
                panels.append({**panel, "row": row, "label": f"{panel['row']}: {panel['case']['prompt']}"})
                files.append(result.folder / panel["file"])
    caption = f"The best of {len(results)} pairs, {pairing.name}"
    figure = {"name": "best", "caption": caption, "panels": panels}
    return picture.grid({**results[0].record, "figures": [figure]}, files)


def numbers(results: Sequence[Result]) -> dict[str, Any]:
    """Returns all scores, for the JSON file. `results` must not be empty."""
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
