"""The input images of the report: files in report/writeup/inputs, read as small square arrays.

report/report.toml names them, and says which file is which. This module does not import torch.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import resvg_py
from PIL import Image, ImageCms, ImageOps

from .records.errors import InputError
from .settings import MINE

if TYPE_CHECKING:
    import numpy as np

INPUTS = Path(__file__).resolve().parents[1] / "report" / "writeup" / "inputs"

# Only these decoders: by default Pillow would also pass an EPS file to Ghostscript.
_DECODERS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_PNG_KEPT = (_PNG_PIXELS | {b"eXIf", b"iCCP"}, _PNG_PIXELS)  # orientation and profile too, if they are not at fault
_SVG_OVERSAMPLING = 4
_SVG_LONGEST = 16  # longer side over shorter side; bounds the size of the render
_SRGB = ImageCms.createProfile("sRGB")

# A reference outside the document: anything but "#..." and "data:...", character references included.
_OUTSIDE = re.compile(r"""\bhref\s*=\s*(["'])\s*(?!#|data:)(.*?)\1""", re.DOTALL | re.IGNORECASE)
_TEXT = re.compile(r"<(?:[\w.-]+:)?text\b")


def find(name: str) -> Path:
    """Returns the file of the image or the mask that report/report.toml calls `name`. Raises InputError if it names
    none so."""
    if name not in MINE.files:
        known = ", ".join(MINE.files)
        raise InputError(f"report/report.toml has no [images.{name}], only {known}: correct the name or add the image")
    return INPUTS / MINE.files[name]


def read(path: Path, size: int = 64) -> np.ndarray:
    """Returns the central square of the image in a file, scaled to `size` pixels a side.

    The array is float32 (size, size, 3), sRGB in 0 … 1; transparent parts become white, an animation gives its first
    frame. Raises InputError if the file cannot be read as an image.
    """
    import numpy as np

    if size < 1:
        raise InputError(f"cannot read {path} at {size} pixels a side: ask for a size of at least 1")
    pixels = _read_svg if path.suffix.lower() == ".svg" else _read_raster
    return np.asarray(pixels(path, size), dtype=np.float32) / 255


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, 64 hexadecimal digits. Raises InputError if it cannot be read."""
    return hashlib.sha256(_bytes(path)).hexdigest()


def _bytes(path: Path) -> bytes:
    # Open regular files only: opening a named pipe would block.
    try:
        data = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check its permissions") from error
    if data is None:
        raise InputError(_no_file(path))
    if not data:
        raise InputError(f"{path} is empty: copy the image again")
    return data


def _no_file(path: Path) -> str:
    """Says what is at a path instead of a regular file, and what to do."""
    if path.is_symlink() and not path.exists():
        return f"{path} is a link to {path.readlink()}, which is not there: correct the link or copy the image"
    if not path.exists():
        return f"{path} is not there: correct the path or add the image"
    if path.is_dir():
        return f"{path} is a folder: name an image in it"
    return f"{path} is not a regular file: replace it by an image"


def _read_svg(path: Path, size: int) -> Image.Image:
    try:
        source = _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: save the SVG again as UTF-8, uncompressed") from error
    if outside := _OUTSIDE.search(source):
        target = _short(outside[2], 60)
        raise InputError(f"{path} refers to {target!r}, outside itself: embed what it shows, or remove the href")
    if _TEXT.search(source):
        raise InputError(f"{path} has text, which would depend on this machine's fonts: convert the text to paths")

    # resvg scales a drawing to fit a box, or to one given side. The first render shows the aspect ratio, the second
    # makes the shorter side exact. Never render at the natural size: a width of 100000 units would abort the process.
    side = size * _SVG_OVERSAMPLING
    image = _render(path, source, width=side, height=side)
    longest = max(image.size) / min(image.size)
    if longest > _SVG_LONGEST:
        raise InputError(f"{path} is {longest:.0f} times as long as wide: crop the drawing nearer to a square")
    if image.width > image.height:
        image = _render(path, source, height=side)
    elif image.height > image.width:
        image = _render(path, source, width=side)
    # Each pixel averages a whole block of the oversampled drawing, so edges on the pixel grid stay sharp.
    return _square(_on_white(image), size, Image.Resampling.BOX)


def _render(path: Path, source: str, width: int | None = None, height: int | None = None) -> Image.Image:
    try:
        png = resvg_py.svg_to_bytes(svg_string=source, width=width, height=height)
    except ValueError as error:
        raise InputError(f"cannot draw {path}: {_short(error)}; check that it is a complete SVG file") from error
    return Image.open(io.BytesIO(png))


def _read_raster(path: Path, size: int) -> Image.Image:
    """Reads a photograph. A fault in a PNG's metadata costs the metadata, not the pixels."""
    data = _bytes(path)
    try:
        return _decoded(path, data, size)
    except InputError:
        for kept in _PNG_KEPT if data.startswith(_PNG) else ():
            with suppress(InputError):
                return _decoded(path, _with_chunks(data, kept), size)
        raise


def _with_chunks(data: bytes, kept: frozenset[bytes]) -> bytes:
    """Returns a PNG with these kinds of chunks alone."""
    parts, at = [_PNG], len(_PNG)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")  # length, kind, data, checksum
        if data[at + 4 : at + 8] in kept:
            parts.append(data[at:end])
        at = end
    return b"".join(parts)


def _decoded(path: Path, data: bytes, size: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns above 89 megapixels and refuses at twice that; here both are errors. Its other warnings
            # concern metadata, and a user could not act on them.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_DECODERS) as image:
                return _upright_square(image, size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise InputError(f"{path} has more than {limit} megapixels: scale it down; 1024 pixels are enough") from error
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{path} is not a readable image: save it as a JPEG or PNG file") from error
    except Exception as error:  # decoders raise errors of every type on damaged files, even SyntaxError
        raise InputError(f"cannot read {path}: {_short(error)}; copy it again, or save it as a PNG file") from error


def _upright_square(image: Image.Image, size: int) -> Image.Image:
    # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size; twice the final size is enough for the filter.
    image.draft(None, (2 * size, 2 * size))
    rgb = _srgb(ImageOps.exif_transpose(image))
    # Filters without negative lobes: Lanczos draws halos along edges, and Box shifts edges at fractional ratios. A tiny
    # image is enlarged smoothly.
    shrinks = min(rgb.size) > size
    return _square(rgb, size, Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC)


def _srgb(image: Image.Image) -> Image.Image:
    """Converts an image of any mode to sRGB, mode RGB, with transparent parts white."""
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image).convert("RGB")
    profile = image.info.get("icc_profile")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    # Profiles apply to plain colours: resolve palettes, alpha and single bits first; keep CMYK and grey.
    if image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGB")
    image = _apply_profile(image, profile).convert("RGB")
    if alpha is not None:
        image.putalpha(alpha)
    return _on_white(image)


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return image
    try:
        return ImageCms.profileToProfile(image, io.BytesIO(profile), _SRGB, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError):
        return image  # a damaged profile, or one of another colour space: assume sRGB


def _eight_bits(image: Image.Image) -> Image.Image:
    """Converts a 16-bit, 32-bit or floating-point grey image to 8 bits.

    Such files do not define white. It is taken as the end of the narrowest usual range (1 for floats, 8 bits, 16 bits)
    that contains the brightest pixel, or else as that pixel; 16-bit modes use 16 bits.
    """
    import numpy as np

    values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0, posinf=0, neginf=0)
    if image.mode.startswith("I;16"):
        white = 65535.0
    else:
        brightest = float(values.max())
        ranges = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        white = next((end for end in ranges if brightest <= end), brightest)
    return Image.fromarray((values / white * 255).round().clip(0, 255).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _square(image: Image.Image, size: int, resampling: Image.Resampling) -> Image.Image:
    """Returns the central square of an RGB image, scaled. Averages sRGB values, as common image pipelines do."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((size, size), resampling, box=(left, top, left + side, top + side))


def _short(message: object, limit: int = 120) -> str:
    line = " ".join(str(message).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
