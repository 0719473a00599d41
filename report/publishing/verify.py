"""`report verify`: draws sections again into a scratch folder and compares their pixels with the published ones.

Sections are drawn whole, for the cases of a section share batches, and batches of other sizes round differently.
"""

from __future__ import annotations

import hashlib
import io
import platform
import random
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from generators import models
from generators.running import staleness
from generators.running.run import Observer, draw_section, load_section, ready, state_folder

from ..basics.atomic import alone
from ..basics.problems import Problems, VerifyError
from ..records import verification
from ..records.record import Figure, Panel, Record, load
from ..records.verification import PanelResult
from ..web.images import PanelError, encode, forms, open_panel, pixelated


def verify(
    root: Path, model: str, wanted: Iterable[str] = (), sample: int = 0, observer: Observer | None = None
) -> dict[str, list[PanelResult]]:
    """Draw the wanted sections (none: all that are published, or `sample` of them by chance) again and compare.

    Each section's result is written to the site as soon as it is known, and returned by section id. Raises VerifyError
    where a section is not published or its record is stale, and what `generators.run.draw` raises.
    """
    observer, site = observer or Observer(), root / "site"
    published = {record.id: record for record in _published(root, model, site)}
    chosen = list(dict.fromkeys(wanted)) or list(published)
    for section_id in chosen:
        if section_id not in published:
            known = ", ".join(published) or "none"
            raise VerifyError(f"section {section_id} is not on {model}'s published page; published: {known}")
        if why := staleness.why_outdated(_raw(published[section_id]), section_id, model):
            raise VerifyError(f"section {section_id}: {why} since it was published; run `report section {section_id}`")
    if sample:
        drawn = random.sample(chosen, min(sample, len(chosen)))
        chosen = [section_id for section_id in chosen if section_id in drawn]
    observer.begin({section_id: ("to be drawn again", published[section_id].evaluations) for section_id in chosen})
    ready(model, chosen, observer)
    loaded = models.load(model)
    loaded.on_evaluated = observer.evaluated
    found = {}
    with tempfile.TemporaryDirectory(prefix="report-verify-") as scratch:
        for section_id in chosen:
            section, record = load_section(section_id), published[section_id]
            observer.section(section_id, section.title)
            again = draw_section(section, loaded, Path(scratch) / section_id)
            of_figures = {
                figure.name: compare(record, figure, again, Path(scratch) / section_id, root, model)
                for figure in record.figures
            }
            with alone(site):
                verification.write(site, section_id, _result(record, again, of_figures))
            found[section_id] = [result for panels in of_figures.values() for result in panels]
            observer.done(section_id, again)
    return found


def compare(
    record: Record, figure: Figure, again: Mapping[str, Any], folder: Path, root: Path, model: str
) -> list[PanelResult]:
    """A result for each published panel of a figure; `again` is the new record, whose panels lie in `folder`."""
    redrawn: list[Any] = next((found["panels"] for found in again["figures"] if found["name"] == figure.name), [])
    found = []
    for panel, new in zip(figure.panels, [*redrawn, *[None] * len(figure.panels)], strict=False):
        if new is None or (new["width"], new["height"]) != (panel.width, panel.height):
            found.append(PanelResult(verification.DIFFERS, None))
        elif new["pixels"] == panel.pixels:
            found.append(PanelResult(verification.IDENTICAL))
        else:
            with Image.open(folder / new["file"]) as file:
                found.append(_measured(record, figure, panel, file.convert("RGB"), root, model))
    return found


def measure(one: Image.Image, other: Image.Image, most: int = verification.LARGEST) -> PanelResult:
    """The result on two images of one size; most: the largest difference of a value that is within tolerance."""
    difference = np.abs(np.asarray(one, dtype=np.int16) - np.asarray(other, dtype=np.int16))
    if not difference.any():
        return PanelResult(verification.IDENTICAL)
    largest = int(difference.max())
    psnr = float(10 * np.log10(255**2 / np.square(difference, dtype=np.float64).mean()))
    close = largest <= most and psnr >= verification.PSNR
    return PanelResult(verification.CLOSE if close else verification.DIFFERS, largest, round(psnr, 1))


def _measured(record: Record, figure: Figure, panel: Panel, new: Image.Image, root: Path, model: str) -> PanelResult:
    """Against the published pixels where they are here without loss; else both images as the page shows them.

    Panels above 64 pixels are published with loss, and the new one is encoded in the same way first. That makes ten
    steps of one here and there, so that only the PSNR decides.
    """
    site = root / "site"
    try:
        with Image.open(state_folder(root, model) / record.id / panel.file) as file:
            drawn = file.convert("RGB")
        if hashlib.sha256(drawn.tobytes()).hexdigest() == panel.pixels:
            return measure(drawn, new)
    except OSError:
        pass  # not drawn here: the site has it
    shown = forms(figure, panel)[-1]
    try:
        published = open_panel(record, figure, panel, site)
    except PanelError as error:
        raise VerifyError(str(error)) from None
    with Image.open(io.BytesIO(encode(new, shown))) as file:
        found = measure(published, file.convert("RGB"), most=verification.LARGEST if pixelated(panel) else 255)
    # Equal to the eye is not identical: the digests differ.
    return PanelResult(verification.CLOSE, 0) if found.kind == verification.IDENTICAL else found


def _result(record: Record, again: Mapping[str, Any], figures: Mapping[str, list[PanelResult]]) -> dict[str, Any]:
    import torch

    return {
        "format": verification.FORMAT,
        "id": record.id,
        "subject": verification.subject(_raw(record)),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "where": {
            "system": platform.system(),
            "machine": platform.machine(),
            "device": again["device"],
            "dtype": again["dtype"],
            "threads": torch.get_num_threads(),
        },
        "versions": again["versions"],
        "tolerance": {"largest": verification.LARGEST, "psnr": verification.PSNR},
        "figures": {name: [asdict(result) for result in found] for name, found in figures.items()},
    }


def _published(root: Path, model: str, site: Path) -> list[Record]:
    """The records of the page, and not the newer ones that may have been drawn here since."""
    problems = Problems(root)
    found = load(root, model, site, problems, drawn_here=False)
    problems.check()
    return found


def _raw(record: Record) -> dict[str, Any]:
    raw = staleness.read_json(record.path)
    if raw is None:
        raise VerifyError(f"{record.path}: the record changed while it was read; run the same command again")
    return raw
