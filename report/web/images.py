"""Panels as small web files, cached by the digest of their pixels.

64-pixel samples stay lossless, because the page shows their pixels. Larger ones become AVIF with a JPEG fallback, both
with full chroma (4:4:4): chroma subsampling costs noise more than half of its detail.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from generators.records import files
from generators.records.errors import PanelError
from generators.records.record import Figure, Panel, Record
from report.web import metadata

TYPES = {"avif": "image/avif", "jpg": "image/jpeg", "webp": "image/webp"}


@dataclass(frozen=True)
class Form:
    """One file of a panel: its path in the site, width in pixels, and format."""

    path: str
    width: int
    format: str

    @property
    def type(self) -> str:
        return TYPES[self.format]


def forms(figure: Figure, panel: Panel) -> list[Form]:
    """Returns a panel's files, best format first and small widths before large ones; the last is the fallback."""
    stem = _stem(figure, panel)
    if pixelated(panel):
        return [Form(f"{stem}.webp", panel.width, "webp")]
    widths = [panel.width // 4, panel.width // 2, panel.width] if panel.width > 512 else [panel.width]
    return [
        Form(f"{stem}.{kind}" if width == panel.width else f"{stem}-{width}w.{kind}", width, kind)
        for kind in ("avif", "jpg")
        for width in widths
    ]


def thumbnail(figure: Figure, panel: Panel) -> Form:
    """Returns the file that shows a panel at 64 pixels where its exact pixels do not matter."""
    return Form(f"{_stem(figure, panel)}-thumb.avif", 64, "avif")


def _stem(figure: Figure, panel: Panel) -> str:
    return f"figures/{figure.id}-{panel.number:02d}-{panel.pixels[:12]}"


def digest(content: Any) -> str:
    """Returns what stands for some JSON content in the name of a file that shows it."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def pixelated(panel: Panel) -> bool:
    """Whether the page shows this panel pixel by pixel."""
    return max(panel.width, panel.height) <= 64


class Store:
    """Puts files into the new site: from `.report/web`, else from the published site, else newly made.

    A name contains a digest of the content, so a file of that name is that file. (After changing the encoding, delete
    `.report/web` and `site/figures`, and draw again.)
    """

    def __init__(self, cache: Path, published: Path, target: Path) -> None:
        self.cache = cache
        self.published = published
        self.target = target

    def place(self, path: str, make: Callable[[], bytes] | None) -> bool:
        """Puts one file into the new site; threads may place files of different names at once.

        Returns False if it exists nowhere and cannot be made.
        """
        target = self.target / path
        target.parent.mkdir(parents=True, exist_ok=True)
        cached = self.cache / target.name
        for old in (cached, self.published / path):
            if old.is_file():
                shutil.copyfile(old, target)
                return True
        if make is None:
            return False
        data = make()
        target.write_bytes(data)
        files.write(cached, data)
        return True


def open_panel(record: Record, figure: Figure, panel: Panel, site: Path) -> Image.Image:
    """Returns the panel's pixels: the drawn file, checked against its record, or the best published format.

    Raises PanelError.
    """
    if record.folder is None:
        return open_published(record, forms(figure, panel)[-1], site)
    advice = f"run `report section {record.id}`"
    path = record.folder / panel.file
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except FileNotFoundError:
        raise PanelError(f"{panel.file}: the panel's file is missing; {advice}") from None
    except OSError as error:
        raise PanelError(f"{panel.file}: not an image ({error}); {advice}") from None
    if image.size != (panel.width, panel.height):
        raise PanelError(f"{panel.file}: {image.width} × {image.height} pixels, unlike its record; {advice}")
    if hashlib.sha256(image.tobytes()).hexdigest() != panel.pixels:
        raise PanelError(f"{panel.file}: its pixels are not those of its record; {advice}")
    return image


def open_published(record: Record, form: Form, site: Path) -> Image.Image:
    """Returns the pixels of a published file of a section. Raises PanelError."""
    try:
        with Image.open(site / form.path) as file:
            return file.convert("RGB")
    except OSError as error:
        wrong = f"{form.path}: the published file is missing or damaged ({error.strerror or error})"
        raise PanelError(f"{wrong}; run `report section {record.id}`") from None


def place_reduced(store: Store, record: Record, figure: Figure, panel: Panel, form: Form) -> None:
    """Puts a smaller file of a panel, such as its thumbnail, into the new site. Raises PanelError."""
    store.place(form.path, lambda: encode(open_panel(record, figure, panel, store.published), form))


def place_panel(store: Store, record: Record, figure: Figure, panel: Panel) -> None:
    """Puts a panel's web files into the new site. Raises PanelError."""
    if record.folder is not None and not (record.folder / panel.file).is_file():
        raise PanelError(f"{panel.file}: the panel's file is missing; run `report section {record.id}`")
    for form in forms(figure, panel):

        def make(form: Form = form) -> bytes:
            image = open_panel(record, figure, panel, store.published)
            return encode(image, form, metadata.xmp(record, figure, [panel]))

        if not store.place(form.path, make if record.folder is not None else None):
            raise PanelError(f"{form.path}: the published file is missing; run `report section {record.id}`")


def encode(image: Image.Image, form: Form, xmp: bytes = b"") -> bytes:
    """Encodes an image in one web format, with an XMP packet."""
    reduced = image.width != form.width
    if reduced:
        height = round(image.height * form.width / image.width)
        image = image.resize((form.width, height), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    if form.format == "webp":
        image.save(data, "WEBP", lossless=True, quality=75, method=4, xmp=xmp)
    elif form.format == "avif":
        # Thumbnails load before scrolling, so size matters most.
        quality = 55 if reduced and form.width <= 256 else 65
        image.save(data, "AVIF", quality=quality, subsampling="4:4:4", speed=6, xmp=xmp)
    else:
        # Neither optimised nor progressive: Pillow's buffer for them is too small for a large image of noise.
        image.save(data, "JPEG", quality=85, subsampling=0, xmp=xmp)
    return data.getvalue()


def as_png(image: Image.Image, **options: Any) -> bytes:
    """Encodes an image as PNG, with Pillow's options of the format."""
    data = io.BytesIO()
    image.save(data, "PNG", **options)
    return data.getvalue()
