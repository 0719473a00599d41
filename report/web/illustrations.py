"""Pictures that the author puts into the prose: files beside it, published by the encoders of the panels, without their
metadata (a photograph may say where it was taken)."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from PIL import Image, ImageCms, ImageOps

from report.web.images import Form, Store, encode, forms_of

WIDEST = 1024  # pixels of the longer side as published
DECODERS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")  # others run programs, or are not for pictures
_SRGB = ImageCms.createProfile("sRGB")


@dataclass(frozen=True)
class Illustration:
    """A picture in the prose. file: where the author keeps it. alt: what it shows."""

    file: Path
    alt: str

    @cached_property
    def image(self) -> Image.Image:
        """Its pixels as published: upright, sRGB, transparent parts white. Raises LookupError if it cannot be read."""
        if not self.file.is_file():
            raise LookupError(f"{self.file.name}: there is no such file in {self.file.parent.name}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(self.file, formats=DECODERS) as file:
                    image = _plain(ImageOps.exif_transpose(file))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
            raise LookupError(f"{self.file.name} has more than {limit} megapixels; scale it down") from None
        except Exception:  # decoders raise errors of every type on damaged files
            raise LookupError(f"{self.file.name} is not a readable image; save it as JPEG or PNG") from None
        image.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
        return image

    @property
    def formats(self) -> list[list[Form]]:
        """Its files in each format, as `Picture.formats`."""
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()[:12]
        stem = re.sub(r"[^a-z0-9]+", "-", self.file.stem.lower()).strip("-")
        return forms_of(f"figures/prose-{stem}-{digest}", *self.image.size)

    def place(self, store: Store) -> None:
        """Puts its files into the new site."""
        for form in (form for of_format in self.formats for form in of_format):
            store.place(form.path, partial(encode, self.image, form))


def _plain(image: Image.Image) -> Image.Image:
    """Returns an image of any mode as RGB, in sRGB, with transparent parts white and without metadata."""
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGB")
    if profile:
        with suppress(ImageCms.PyCMSError, OSError):  # a damaged profile, or one of other colours: assume sRGB
            image = ImageCms.profileToProfile(image, io.BytesIO(profile), _SRGB, outputMode="RGB") or image
    image = image.convert("RGB")
    image.info.clear()
    return image
