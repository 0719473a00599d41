"""Writes a single picture: a grid as PNG, and beside it a JSON file that records how it was made."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generators.records import files
from generators.records.errors import RequestError

if TYPE_CHECKING:
    from generators.figures import Section
    from generators.running.session import Observer

LONGEST = 80  # characters of a file name made of prompts


def place(out: Path | None, *words: str) -> Path:
    """Returns the path of the PNG: `out`, or a file in the current folder named after the words.

    Raises RequestError if the path does not end in .png, if its folder does not exist, or if it or the JSON file beside
    it exists and was not written by this command.
    """
    name = re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")[:LONGEST].strip("-")
    png = out or Path(f"{name}.png")
    if png.suffix.lower() != ".png":
        raise RequestError(f"{png}: the file is written as PNG; give it a name that ends in .png")
    if not png.parent.is_dir():
        raise RequestError(f"{png}: the folder {png.parent} does not exist; create it, or choose another with -o")
    for path in (png, png.with_suffix(".json")):
        if path.exists() and not _ours(png):
            raise RequestError(
                f"{path} exists and is not as this command wrote it; move it, or choose another name with -o"
            )
    return png


def draw(kind: str, declared: Section, model: str, png: Path, observer: Observer) -> None:
    """Draws a section of one figure and writes its grid and its record. kind: such as "anagram".

    Raises InputError, ModelError or DrawingError.
    """
    from generators import models
    from generators.running.cost import Cost
    from generators.running.session import Session, prepare, workload

    title = declared.figures[0].caption_text()
    observer.begin({kind: ("requested", Cost(workload([declared]).first))})
    prepare(model, [declared], observer.planned)
    session = Session(models.load(model), observer)
    observer.section(kind, title)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / kind
        raw = session.draw(declared, folder, {"id": kind, "title": title, "source": f"report {kind}"})
        observer.done(kind, raw)
        panels = raw["figures"][0]["panels"]
        image = grid(raw, [folder / panel["file"] for panel in panels])
    for panel in panels:
        del panel["file"], panel["bytes"]  # of temporary files
    del raw["seal"]
    write(png, image, raw)


def grid(raw: Mapping[str, Any], panels: Sequence[Path]) -> bytes:
    """Returns the first figure of a record as one PNG. panels: their files."""
    from generators.records.record import parsed

    from ..figures import figure_png
    from ..web import images, metadata

    record = parsed(raw, Path())
    figure = record.figures[0]
    return figure_png.compose(figure, [images.read(path) for path in panels], metadata.png(record, figure))


def write(png: Path, image: bytes, record: Mapping[str, Any]) -> None:
    """Writes a PNG and its JSON, each under a temporary name that is then renamed."""
    text = json.dumps({**record, "png": hashlib.sha256(image).hexdigest()}, indent=1, ensure_ascii=False) + "\n"
    files.write(png, image)
    files.write(png.with_suffix(".json"), text)


def _ours(png: Path) -> bool:
    """Returns whether the JSON file holds the digest of this PNG, or of one that no longer exists."""
    try:
        digest = json.loads(png.with_suffix(".json").read_bytes())["png"]
        return not png.exists() or digest == hashlib.sha256(png.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError):
        return False
