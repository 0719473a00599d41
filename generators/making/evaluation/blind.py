"""A blind reading: what someone sees in the report's pictures who knows neither the prompts nor how they were made.

    python -m generators.making.evaluation.blind prepare FOLDER    # numbered pictures in mixed order, and the key
    python -m generators.making.evaluation.blind collect FOLDER    # with the reader's answers.json: writes readings.md

Every picture with several readings is shown alone, enlarged and without metadata: both ways up, or near and far. The
reader gets the numbered pictures, and nothing else, and writes answers.json: {"001.png": {"sees": …, "second": …}, …},
second being another thing that can be seen in the same picture, or "".
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import click
from PIL import Image

from ...figures import reading
from ...models import SHIPPED
from ...records import files
from ...records.record import read_drawn
from ...running import staleness

PATH = Path(__file__).with_name("readings.md")
STATE = SHIPPED.parents[3] / ".report" / "pocket"
SIDE = 384  # pixels a side of the pictures that are shown


def _cell(text: str) -> str:
    return text.replace("|", "/") or "–"


@click.group()
def main() -> None:
    """Prepare a blind reading of the report's pictures, or collect its answers."""


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def prepare(folder: Path) -> None:
    """Write the pictures of the drawn sections into FOLDER, and FOLDER.key.json beside it."""
    found = []
    for section_id in staleness.sections():
        record = read_drawn(STATE / section_id) or {"figures": []}
        for figure in record["figures"]:
            for panel in (panel for panel in figure["panels"] if reading(panel["case"])):
                place = {"figure": f"{section_id}-{figure['name']}", "panel": f"{panel['row']}, {panel['label']}"}
                found.append((STATE / section_id / panel["file"], {**place, "prompt": reading(panel["case"])}))
    random.Random(0).shuffle(found)
    folder.mkdir(parents=True)
    key = {}
    for number, (path, about) in enumerate(found, 1):
        with Image.open(path) as image:
            shown = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        shown.save(folder / f"{number:03}.png")
        key[f"{number:03}.png"] = about
    files.write(folder.with_suffix(".key.json"), json.dumps(key, indent=1, ensure_ascii=False))
    click.echo(f"{len(found)} pictures in {folder}; show the reader nothing else")


@main.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
def collect(folder: Path) -> None:
    """Write readings.md from FOLDER/answers.json and the key."""
    key = json.loads(folder.with_suffix(".key.json").read_text(encoding="utf-8"))
    answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    rows = sorted((about["figure"], about["panel"], about["prompt"], name) for name, about in key.items())
    lines = ["| figure | picture | prompt | seen | also |", "|---|---|---|---|---|"]
    for figure, panel, prompt, name in rows:
        answer = answers[name]
        cells = (figure, panel, prompt, answer["sees"], answer.get("second", ""))
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    head, _, rest = PATH.read_text(encoding="utf-8").partition("<!-- answers -->\n")
    tail = rest.partition("<!-- end of answers -->")[2]
    table = "\n".join(lines)
    files.write(PATH, f"{head}<!-- answers -->\n{table}\n<!-- end of answers -->{tail}")
    click.echo(PATH)


if __name__ == "__main__":
    main()
