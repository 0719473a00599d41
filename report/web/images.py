"""Panels as small web files, cached by the digest of their pixels.

64-pixel samples stay lossless, because the page shows their pixels. Larger ones become AVIF with a JPEG fallback, both
with full chroma (4:4:4): chroma subsampling costs noise more than half of its detail. Beside them lies a lattice, one
pixel of each block, lossless: with it `web.comparison` judges a new drawing as strictly as a small one.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from generators.records import files
from generators.records.errors import PanelError
from generators.records.record import Figure, Panel, Record
from report.problems import run
from report.web import metadata

LATTICE = 64  # blocks in each direction: of 4 x 4 pixels at 256, of 16 x 16 at 1024
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


@dataclass(frozen=True)
class Picture:
    """A panel on the page: with its figure, its record, and the site that publishes them."""

    record: Record
    figure: Figure
    panel: Panel
    site: Path

    @property
    def formats(self) -> list[list[Form]]:
        """Its files in each format, the best format and small widths first; the last format is the fallback."""
        return forms_of(self._stem, self.panel.width, self.panel.height)

    @property
    def forms(self) -> list[Form]:
        """Its files in all formats."""
        return [form for of_format in self.formats for form in of_format]

    @property
    def lattice(self) -> Form | None:
        """The file of its lattice of 64 x 64 pixels, which the page does not show; None for a lossless panel."""
        return None if pixelated(self.panel) else Form(f"{self._stem}-lattice.webp", LATTICE, "webp")

    @property
    def thumbnail(self) -> Form:
        """The file that shows it at 64 pixels where its exact pixels do not matter."""
        return Form(f"{self._stem}-thumb.avif", 64, "avif")

    @property
    def _stem(self) -> str:
        return f"figures/{self.figure.id}-{self.panel.number:02d}-{self.panel.pixels[:12]}"

    def open(self) -> Image.Image:
        """Returns its pixels: of the drawn file if that is what the record describes, else of the published fallback.

        Raises PanelError.
        """
        fallback = self.forms[-1]
        if self.record.folder is None:
            return self.open_published(fallback)
        try:
            return self._drawn()
        except PanelError:
            if not (self.site / fallback.path).is_file():
                raise
            return self.open_published(fallback)

    def _drawn(self) -> Image.Image:
        """Returns the pixels of the drawn file. Raises PanelError if it is not the one that the record describes."""
        assert self.record.folder
        file = self.panel.file
        try:
            image = read(self.record.folder / file)
        except FileNotFoundError:
            raise self._error(f"{file}: the panel's file is missing") from None
        except OSError as error:
            raise self._error(f"{file}: not an image ({error})") from None
        return self._checked(image, file, self.panel.width, lossless=True)

    def open_published(self, form: Form) -> Image.Image:
        """Returns the pixels of a published file. Raises PanelError."""
        try:
            return read(self.site / form.path)
        except OSError as error:
            wrong = f"the published file is missing or damaged ({error.strerror or error})"
            raise self._error(f"{form.path}: {wrong}") from None

    def check_published(self, form: Form) -> None:
        """Compares a published file with the record: its size, and if it is lossless its pixels. Raises PanelError."""
        self._checked(self.open_published(form), form.path, form.width, pixelated(self.panel))

    def _checked(self, image: Image.Image, file: str, width: int, lossless: bool) -> Image.Image:
        if image.size != (width, round(width * self.panel.height / self.panel.width)):
            raise self._error(f"{file}: {image.width} × {image.height} pixels, unlike its record")
        if lossless and hashlib.sha256(image.tobytes()).hexdigest() != self.panel.pixels:
            raise self._error(f"{file}: its pixels are not those of its record")
        return image

    def place(self, store: Store) -> None:
        """Puts its files into the new site. Raises PanelError."""
        folder = self.record.folder
        if folder and not (folder / self.panel.file).is_file():
            raise self._error(f"{self.panel.file}: the panel's file is missing")
        for form in self.forms:
            store.place(form.path, partial(self._encoded, form))
        points = self.lattice
        if points and (folder or (self.site / points.path).is_file()):  # older sites have none
            xmp = metadata.xmp(self.record, self.figure, [self.panel])
            store.place(points.path, lambda: encode(lattice(self._drawn()), points, xmp))

    def _encoded(self, form: Form) -> bytes:
        if self.record.folder is None:
            raise self._error(f"{form.path}: the published file is missing")
        return encode(self.open(), form, metadata.xmp(self.record, self.figure, [self.panel]))

    def place_reduced(self, store: Store, form: Form) -> None:
        """Puts a smaller file, such as its thumbnail, into the new site. Raises PanelError."""
        store.place(form.path, lambda: encode(self.open(), form))

    def _error(self, wrong: str) -> PanelError:
        return PanelError(f"{wrong}; {run(f'section {self.record.id}', self.record.model)}")


def pictures(record: Record, site: Path) -> list[Picture]:
    """Returns all pictures of a section."""
    return [Picture(record, figure, panel, site) for figure in record.figures for panel in figure.panels]


def read(path: Path) -> Image.Image:
    """Reads an image as RGB. Raises OSError."""
    with Image.open(path) as file:
        return file.convert("RGB")


def digest(content: Any) -> str:
    """Returns what stands for some JSON content in the name of a file that shows it."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def pixelated(panel: Panel) -> bool:
    """Whether the page shows this panel pixel by pixel."""
    return _is_small(panel.width, panel.height)


def _is_small(width: int, height: int) -> bool:
    return max(width, height) <= 64


def forms_of(stem: str, full: int, height: int) -> list[list[Form]]:
    """Returns the files of an image, `full` pixels wide, in each format, the best format and small widths first; the
    last format is the fallback. stem: of their paths."""
    if _is_small(full, height):
        return [[Form(f"{stem}.webp", full, "webp")]]
    reduced = [full // 4, full // 2] if full > 512 else []
    return [
        [*(Form(f"{stem}-{width}w.{kind}", width, kind) for width in reduced), Form(f"{stem}.{kind}", full, kind)]
        for kind in ("avif", "jpg")
    ]


def lattice(image: Image.Image) -> Image.Image:
    """Returns the middle pixel of each block of an image, LATTICE x LATTICE of them, unchanged."""
    return image.resize((LATTICE, LATTICE), Image.Resampling.NEAREST)


@dataclass(frozen=True)
class Store:
    """Puts files into the new site: from `.report/web`, else from the published site, else newly made.

    A name contains a digest of the content, so a file of that name is that file. (After changing the encoding, delete
    `.report/web` and `site/figures`, and draw again.)
    """

    cache: Path
    published: Path
    target: Path

    def place(self, path: str, make: Callable[[], bytes]) -> None:
        """Puts one file into the new site; threads may place files of different names at once."""
        target = self.target / path
        target.parent.mkdir(parents=True, exist_ok=True)
        cached = self.cache / target.name
        for old in (cached, self.published / path):
            if old.is_file():
                shutil.copyfile(old, target)
                return
        data = make()
        target.write_bytes(data)
        files.write(cached, data)


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
        # Thumbnails load at once, so size matters most.
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
