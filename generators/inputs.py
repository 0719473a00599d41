"""The input images of the report: files in report/inputs, read as small square arrays.

An image has a name, the stem of its file. A raster file takes the place of an SVG with the same stem, so that one's own
photograph `campanile.jpg`, put beside `campanile.svg`, is what the report shows. This module imports no torch.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image, ImageCms, ImageOps

INPUTS = Path(__file__).resolve().parents[1] / "report" / "inputs"
RASTERS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"})

# The decoders that those suffixes stand for and no others: Pillow would also hand an EPS file to Ghostscript.
_DECODERS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
_SVG_OVERSAMPLING = 4
_SVG_LONGEST = 16  # longer side over shorter side; the render grows with it
_SRGB = ImageCms.createProfile("sRGB")

# A reference that leaves the document. Anything but "#..." and "data:..." counts, character references included.
_OUTSIDE = re.compile(r"""\bhref\s*=\s*(["'])\s*(?!#|data:)(.*?)\1""", re.DOTALL | re.IGNORECASE)
_TEXT = re.compile(r"<(?:[\w.-]+:)?text\b")


class InputError(ValueError):
    """An input image is absent, ambiguous or unreadable. One line: what is wrong, which file, what to do."""


def find(name: str, folder: Path = INPUTS) -> Path:
    """The file of the image called `name`: a raster file with that stem, or else `name.svg`.

    name: letters, digits, hyphens and underscores; no suffix, no folder.
    Raises InputError where the name is of another form, where no file has it (the message lists the names that exist),
    and where two files claim it (the message names both).
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise InputError(f"{name!r} is no image name: use letters, digits, hyphens and underscores, without a suffix")
    files = _files(folder)
    rasters = [path for path in files if path.stem == name and path.suffix.lower() in RASTERS]
    vectors = [path for path in files if path.stem == name and path.suffix.lower() == ".svg"]
    found = rasters or vectors
    if len(found) > 1:
        claims = " and ".join(path.name for path in found)
        raise InputError(f"{claims} in {folder} are both called {name!r}: keep one, and move or rename the other")
    if not found:
        names = ", ".join(sorted({path.stem for path in files})) or "no images at all"
        raise InputError(f"no image called {name!r} in {folder}, which has {names}: correct the name, or add the file")
    return found[0]


def load(name: str, size: int = 64, folder: Path = INPUTS) -> np.ndarray:
    """The image called `name`, its central square scaled to `size` pixels a side.

    Returns float32 (size, size, 3), sRGB in 0..1; transparent parts lie on white, animations give their first frame.
    Raises InputError where `find` does, and where the file cannot be read as an image.
    """
    if size < 1:
        raise InputError(f"cannot load {name!r} at {size} pixels a side: ask for a size of at least 1")
    return read(find(name, folder), size)


def read(path: Path, size: int = 64) -> np.ndarray:
    """The image in a file, as `load` gives it. Raises InputError where the file cannot be read as an image."""
    pixels = _read_svg if path.suffix.lower() == ".svg" else _read_raster
    return np.asarray(pixels(path, size), dtype=np.float32) / 255


def digest(name: str, folder: Path = INPUTS) -> str:
    """The SHA-256 of the bytes of the image's file, 64 hexadecimal digits. Raises InputError where `find` does."""
    return digest_of(find(name, folder))


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hexadecimal digits. Raises InputError where it cannot be read."""
    return hashlib.sha256(_bytes(path)).hexdigest()


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in RASTERS | {".svg"})
    except OSError as error:
        raise InputError(f"cannot list {folder}: {error.strerror}; check the folder of the input images") from error


def _bytes(path: Path) -> bytes:
    # Opened only when regular: a named pipe would wait for a writer for ever.
    try:
        data = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check its permissions") from error
    if data is None:
        raise InputError(f"{path} is not a file but a folder, a broken link or the like: put an image in its place")
    if not data:
        raise InputError(f"{path} is empty: copy the image again")
    return data


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

    # resvg fits a drawing into a box, or gives it one side and lets the other follow: so the box shows the shape, and a
    # second render makes the shorter side exact. Never ask for the natural size: a drawing that claims to be 100000
    # units wide would abort the process.
    side = size * _SVG_OVERSAMPLING
    image = _render(path, source, width=side, height=side)
    longest = max(image.size) / min(image.size)
    if longest > _SVG_LONGEST:
        raise InputError(f"{path} is {longest:.0f} times as long as wide: crop the drawing nearer to a square")
    if image.width > image.height:
        image = _render(path, source, height=side)
    elif image.height > image.width:
        image = _render(path, source, width=side)
    # Whole blocks of the oversampled drawing become pixels, so edges that lie on the pixel grid stay sharp.
    return _square(_on_white(image), size, Image.Resampling.BOX)


def _render(path: Path, source: str, width: int | None = None, height: int | None = None) -> Image.Image:
    try:
        png = resvg_py.svg_to_bytes(svg_string=source, width=width, height=height)
    except ValueError as error:
        raise InputError(f"cannot draw {path}: {_short(error)}; check that it is a whole SVG file") from error
    return Image.open(io.BytesIO(png))


def _read_raster(path: Path, size: int) -> Image.Image:
    data = _bytes(path)
    try:
        with warnings.catch_warnings():
            # Pillow only warns from 89 megapixels on, and refuses at twice that; here both are one refusal. Its other
            # warnings are about odd metadata, and no one could act on them.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_DECODERS) as image:
                return _upright_square(image, size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise InputError(f"{path} has more than {limit} megapixels: scale it down, 1024 pixels are plenty") from error
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{path} is no image that can be read here: save it as a JPEG or PNG file") from error
    except Exception as error:  # decoders meet damaged files with errors of every type, SyntaxError included
        raise InputError(f"cannot read {path}: {_short(error)}; copy it again, or save it as a PNG file") from error


def _upright_square(image: Image.Image, size: int) -> Image.Image:
    # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size; twice the final size leaves the filter enough to average.
    image.draft(None, (2 * size, 2 * size))
    rgb = _srgb(ImageOps.exif_transpose(image))
    # Averaging filters without negative lobes: Lanczos would draw halos along the edges of drawings, and Box shifts
    # edges where the ratio is no whole number. A tiny image is enlarged instead, smoothly.
    shrinks = min(rgb.size) > size
    return _square(rgb, size, Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC)


def _srgb(image: Image.Image) -> Image.Image:
    """An image of any mode as sRGB, mode RGB, transparent parts on white."""
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image).convert("RGB")
    profile = image.info.get("icc_profile")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    # Profiles speak of the plain colours: palettes, alpha and single bits are resolved first, CMYK and grey stay.
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
        return image  # a damaged profile, or one of another colour space: the colours are taken for sRGB


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit, 32-bit or floating-point grey image in 8 bits.

    Such files do not say where white is: it is the end of the narrowest usual range (1 for floats, 8 bits, 16 bits)
    that holds the brightest pixel, or else that pixel. Sixteen-bit modes have theirs.
    """
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
    """The central square of an RGB image, scaled. The means are of sRGB values, as in other image pipelines."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((size, size), resampling, box=(left, top, left + side, top + side))


def _short(message: object, limit: int = 120) -> str:
    line = " ".join(str(message).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
