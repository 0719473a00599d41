"""`report verify`: redraws sections into a scratch folder and compares their pixels with the published ones.

Sections are redrawn whole, because their cases share batches, and other batch sizes round differently.
"""

from __future__ import annotations

import io
import platform
import random
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from generators import models
from generators.records.errors import PanelError, VerifyError
from generators.records.locks import held
from generators.records.record import Figure, Record, read_json
from generators.running import processor, staleness
from generators.running.run import draw_section, load_section, state_folder
from generators.running.session import Observer, Session, prepare

from ..page.builder import lock_of
from ..problems import Problems, run
from ..records import verification
from ..records.drawn import load
from ..records.verification import PanelResult
from ..web.images import Picture, encode, pixelated


def verify(
    root: Path, model: str, wanted: Iterable[str] = (), sample: int = 0, observer: Observer | None = None
) -> dict[str, list[PanelResult]]:
    """Redraws the wanted sections (none: all published ones, or `sample` of them at random) and compares them.

    Each result is written to the site at once and returned by section id. Raises VerifyError if a section is not
    published or its record is stale, and what `generators.running.run.draw` raises.
    """
    observer, site = observer or Observer(), root / "site"
    published = {record.id: record for record in _published(root, model, site)}
    chosen = list(dict.fromkeys(wanted)) or list(published)
    for section_id in chosen:
        if section_id not in published:
            known = ", ".join(published) or "none"
            raise VerifyError(f"section {section_id} is not on {model}'s published page; published: {known}")
        if why := staleness.changed_dependency(_raw(published[section_id]), section_id, model):
            advice = run(f"section {section_id}", model)
            raise VerifyError(f"section {section_id}: {why} since it was published; {advice}")
    if sample:
        drawn = random.sample(chosen, min(sample, len(chosen)))
        chosen = [section_id for section_id in chosen if section_id in drawn]
    observer.begin({section_id: ("to be redrawn", published[section_id].evaluations) for section_id in chosen})
    prepare(model, map(load_section, chosen), observer.planned)
    session, found = Session(models.load(model), observer), {}
    with tempfile.TemporaryDirectory(prefix="report-verify-") as scratch:
        for section_id in chosen:
            record = published[section_id]
            again = draw_section(session, load_section(section_id), Path(scratch) / section_id, observer)
            of_figures = {
                figure.name: compare(record, figure, again, Path(scratch) / section_id, root, model)
                for figure in record.figures
            }
            with held(lock_of(site), f"verifies {section_id}"):
                verification.write(site, section_id, _result(record, again, of_figures))
            found[section_id] = [result for panels in of_figures.values() for result in panels]
    return found


def compare(
    record: Record, figure: Figure, again: Mapping[str, Any], folder: Path, root: Path, model: str
) -> list[PanelResult]:
    """Returns a result for each published panel of a figure; `again` is the new record, with its panels in `folder`."""
    redrawn: list[Any] = next((found["panels"] for found in again["figures"] if found["name"] == figure.name), [])
    found = []
    for panel, new in zip(figure.panels, [*redrawn, *[None] * len(figure.panels)], strict=False):
        if new is None or (new["width"], new["height"]) != (panel.width, panel.height):
            found.append(PanelResult(verification.DIFFERS, None))
        elif new["pixels"] == panel.pixels:
            found.append(PanelResult(verification.IDENTICAL))
        else:
            with Image.open(folder / new["file"]) as file:
                picture = Picture(record, figure, panel, root / "site")
                found.append(_measured(picture, file.convert("RGB"), state_folder(root, model) / record.id))
    return found


def measure(one: Image.Image, other: Image.Image, most: int = verification.LARGEST) -> PanelResult:
    """Compares two images of the same size; most: the largest tolerated difference of a value."""
    difference = np.abs(np.asarray(one, dtype=np.int16) - np.asarray(other, dtype=np.int16))
    if not difference.any():
        return PanelResult(verification.IDENTICAL)
    largest = int(difference.max())
    psnr = float(10 * np.log10(255**2 / np.square(difference, dtype=np.float64).mean()))
    close = largest <= most and psnr >= verification.PSNR
    return PanelResult(verification.CLOSE if close else verification.DIFFERS, largest, round(psnr, 1))


def _measured(picture: Picture, new: Image.Image, drawn: Path) -> PanelResult:
    """Compares with the lossless published pixels if they are here; otherwise compares both in the page's format.

    drawn: the folder where the section was drawn, if it was drawn here.

    Panels above 64 pixels are published lossily, so the new one is encoded the same way first. That alone changes some
    values by up to ten steps, so only the PSNR decides.
    """
    try:
        return measure(replace(picture, record=replace(picture.record, folder=drawn)).open(), new)
    except PanelError:
        pass  # not drawn here, or drawn again since: read it from the site
    try:
        published = picture.open()
    except PanelError as error:
        raise VerifyError(str(error)) from None
    with Image.open(io.BytesIO(encode(new, picture.forms[-1]))) as file:
        most = verification.LARGEST if pixelated(picture.panel) else 255
        found = measure(published, file.convert("RGB"), most)
    # Equal after encoding is not identical: the digests differ.
    return PanelResult(verification.CLOSE, 0) if found.kind == verification.IDENTICAL else found


def _result(record: Record, again: Mapping[str, Any], figures: Mapping[str, list[PanelResult]]) -> dict[str, Any]:
    import torch

    device = torch.device(again["device"])
    return {
        "format": verification.FORMAT,
        "id": record.id,
        "subject": verification.subject(_raw(record)),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "where": {
            "system": platform.system(),
            "machine": platform.machine(),
            "processor": processor.name(device),
            "instructions": processor.instructions(device),
            "device": again["device"],
            "dtype": again["dtype"],
            "threads": torch.get_num_threads(),
        },
        "versions": again["versions"],
        "tolerance": {"largest": verification.LARGEST, "psnr": verification.PSNR},
        "figures": {name: [asdict(result) for result in found] for name, found in figures.items()},
    }


def _published(root: Path, model: str, site: Path) -> list[Record]:
    """Returns the records of the page, not newer ones drawn here since."""
    problems = Problems(root)
    found = load(root, model, site, problems, drawn_here=False)
    problems.check()
    return found


def _raw(record: Record) -> dict[str, Any]:
    raw = read_json(record.path)
    if raw is None:
        raise VerifyError(f"{record.path}: the record changed during verification; run the same command again")
    return raw
