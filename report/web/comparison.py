"""Compares a new drawing with the published one, panel by panel.

Lossless panels are compared by all their pixels. Larger ones are published lossily, and encoding hides small changes.
So their lattice, one lossless pixel of each block, must agree as a lossless panel must, and what lies between must
agree after the same encoding.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from generators.records.errors import PanelError
from generators.records.record import Figure, Record

from ..records import agreement
from ..records.agreement import DIFFERS, IDENTICAL, ROUNDED, PanelResult
from .images import Picture, encode, lattice, pixelated, read

ENCODED = 16  # of 255: rounding of the report's large panels moved no value by more than 7 after encoding


def compare(record: Record, figure: Figure, drawn: Mapping[str, Any], folder: Path, site: Path) -> list[PanelResult]:
    """Returns a result for each published panel of a figure. drawn: another record, as JSON, with its panels in
    `folder`."""
    new: list[Any] = next((found["panels"] for found in drawn["figures"] if found["name"] == figure.name), [])
    new = [*new, *[None] * len(figure.panels)][: len(figure.panels)]
    return [
        _panel(Picture(record, figure, panel, site), other, folder)
        for panel, other in zip(figure.panels, new, strict=True)
    ]


def _panel(picture: Picture, new: Mapping[str, Any] | None, folder: Path) -> PanelResult:
    panel = picture.panel
    if new is None or (new["width"], new["height"]) != (panel.width, panel.height):
        return PanelResult(DIFFERS, None)
    if not agreement.same_values(panel.found, new["found"]):
        return PanelResult(DIFFERS, None)
    if new["pixels"] == panel.pixels:
        return PanelResult(IDENTICAL)
    try:
        return _measured(picture, read(folder / new["file"]))
    except (OSError, PanelError):  # a published or a drawn file is missing or damaged
        return PanelResult(DIFFERS, None)


def _measured(picture: Picture, new: Image.Image) -> PanelResult:
    form = picture.forms[-1]
    published = np.asarray(picture.open_published(form))
    if pixelated(picture.panel):
        return agreement.measure(published, np.asarray(new))
    assert picture.lattice
    found = agreement.measure(np.asarray(picture.open_published(picture.lattice)), np.asarray(lattice(new)))
    with Image.open(io.BytesIO(encode(new, form))) as file:
        between = agreement.measure(published, np.asarray(file.convert("RGB")), ENCODED, psnr=0)
    if DIFFERS in (found.kind, between.kind):
        return PanelResult(DIFFERS, found.largest, found.psnr)
    return PanelResult(ROUNDED, found.largest, found.psnr)  # even if the lattice is equal: the digests differ
