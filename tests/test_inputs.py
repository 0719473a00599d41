"""Input images: odd files that people really have, and what is said about those that cannot be read."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import page_fixture as fixture
import pytest
from PIL import Image, ImageCms

from generators import inputs
from generators.inputs import INPUTS, digest_of, find, read
from generators.records.errors import InputError
from report.figures import figure_png
from report.page.builder import build


def load(name: str, size: int = 64, folder: Path = INPUTS) -> np.ndarray:
    """The image in the folder's file of this name, whatever its suffix."""
    (path,) = (path for path in folder.iterdir() if path.stem == name)
    return read(path, size)


SHIPPED = ("building", "campanile", "pagoda", "fox", "sketch-boat", "sketch-house")
SVG = '<svg xmlns="http://www.w3.org/2000/svg" {}>{}</svg>'
SQUARE = SVG.format('viewBox="0 0 8 8"', '<rect width="4" height="8" fill="#f00"/>')


def refused(folder: Path, *words: str, name: str = "a", size: int = 8) -> str:
    """The message with which `load` refuses the image: one line, naming what `words` say."""
    with pytest.raises(InputError) as caught:
        load(name, size, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    for word in words:
        assert word in message
    return message


def colour(image: np.ndarray) -> np.ndarray:
    """The mean colour, 0..255."""
    return image.mean((0, 1)) * 255


# --- the shipped images


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_images_load(name: str) -> None:
    image = load(name)
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.float32
    assert 0 <= image.min() < 0.2
    assert 0.95 < image.max() <= 1
    assert image.std() > 0.1
    assert np.array_equal(image, load(name))


def test_credits_list_every_shipped_file() -> None:
    listed = set(re.findall(r"^\| `([^`]+)`", (INPUTS / "CREDITS.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert {f"{stem}.{'jpg' if stem == 'pagoda' else 'svg'}" for stem in SHIPPED} <= listed
    assert listed <= {path.name for path in INPUTS.iterdir()}


def test_the_top_of_the_campanile_lies_in_the_inpainting_hole(tmp_path: Path) -> None:
    """Above row 20 the granite, redder than the sky, lies in rows 2-19 and columns 24-41; clouds are elsewhere."""
    shutil.copy(INPUTS / "campanile.svg", tmp_path)
    top = load("campanile", folder=tmp_path)[:20, 12:46]
    granite = np.argwhere((top[..., 0] > top[..., 2]) & (top[..., 0] > 0.5))
    rows, columns = granite[:, 0], granite[:, 1] + 12
    assert rows.min() in (2, 3)
    assert 24 <= columns.min() <= columns.max() <= 41
    assert len(granite) > 80


@pytest.mark.parametrize("path", sorted(INPUTS.glob("*.svg")), ids=lambda path: path.stem)
def test_drawings_leave_nothing_transparent(path: Path) -> None:
    image = inputs._render(path, path.read_text(encoding="utf-8"), width=128, height=128)
    assert image.size == (128, 128)
    assert image.getchannel("A").getextrema() == (255, 255)


# --- names and files


def test_an_image_is_the_file_that_the_settings_name() -> None:
    assert find("fox") == INPUTS / "fox.svg"
    with pytest.raises(InputError, match=r"has no \[images\.cat\], only campanile, fox, .*: correct the name or add"):
        find("cat")


def test_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"any bytes")
    assert digest_of(tmp_path / "a.jpg") == hashlib.sha256(b"any bytes").hexdigest()


def test_size_must_be_positive(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    refused(tmp_path, "at least 1", size=0)


# --- modes and formats


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".PNG", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"])
def test_every_suffix_loads(suffix: str, tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (200, 100, 50)).save(tmp_path / f"a{suffix}")
    image = load("a", 8, tmp_path)
    assert image.shape == (8, 8, 3)
    assert image.dtype == np.float32
    assert image.flags.writeable
    assert np.allclose(colour(image), (200, 100, 50), atol=6)


@pytest.mark.parametrize(
    ("mode", "fill", "suffix", "expected"),
    [
        ("1", 1, "png", (255, 255, 255)),
        ("L", 90, "png", (90, 90, 90)),
        ("LA", (0, 51), "png", (204, 204, 204)),
        ("RGBA", (255, 0, 0, 128), "png", (255, 127, 127)),
        ("RGBA", (0, 0, 0, 0), "webp", (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), "jpg", (255, 0, 0)),
        ("CMYK", (255, 0, 255, 0), "tif", (0, 255, 0)),
        ("I;16", 32768, "png", (128, 128, 128)),
        ("I;16", 20000, "tif", (78, 78, 78)),
        ("I", 51, "tif", (51, 51, 51)),
        ("I", 32768, "tif", (128, 128, 128)),
        ("I", 2**31 - 1, "tif", (255, 255, 255)),
        ("F", 0.4, "tif", (102, 102, 102)),
        ("F", 102.0, "tif", (102, 102, 102)),
        ("F", -3.0, "tif", (0, 0, 0)),
        ("F", float("nan"), "tif", (0, 0, 0)),
    ],
)
def test_modes(mode: str, fill: object, suffix: str, expected: tuple, tmp_path: Path) -> None:
    Image.new(mode, (20, 20), fill).save(tmp_path / f"a.{suffix}")
    assert np.allclose(colour(load("a", 8, tmp_path)), expected, atol=2)


def test_palette_with_transparency_lies_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 10, 20))
    image.save(tmp_path / "a.png", transparency=0)
    loaded = load("a", 4, tmp_path)
    assert np.allclose(loaded[:, 0], 1)
    assert np.allclose(loaded[:, 3], [0, 0, 1])


def test_a_transparent_key_colour_lies_on_white(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (1, 2, 3)).save(tmp_path / "a.png", transparency=(1, 2, 3))
    assert np.allclose(load("a", 4, tmp_path), 1)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), name) for name in ("lime", "red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert np.allclose(load("a", 4, tmp_path), [0, 1, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(orientation: int, tmp_path: Path) -> None:
    """However the pixels are stored, the upright picture is red at its top left and blue at its top right."""
    upright = Image.new("RGB", (32, 32), "white")
    upright.paste("red", (0, 0, 16, 16))
    upright.paste("blue", (16, 0, 32, 16))
    turn = Image.Transpose
    stored = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_90,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = upright.transpose(stored[orientation]) if orientation > 1 else upright
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    loaded = load("a", 2, tmp_path)
    assert np.allclose(loaded, [[[1, 0, 0], [0, 0, 1]], [[1, 1, 1], [1, 1, 1]]], atol=0.1)


def test_embedded_profiles_are_applied_and_damaged_ones_ignored(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # A profile like sRGB but for its primaries, red and blue exchanged: then the stored red is a blue.
    swapped = srgb.replace(b"rXYZ", b"temp").replace(b"bXYZ", b"rXYZ").replace(b"temp", b"bXYZ")
    for profile, expected in ((srgb, [1, 0, 0]), (swapped, [0, 0, 1]), (lab, [1, 0, 0]), (b"junk", [1, 0, 0])):
        Image.new("RGB", (9, 9), "red").save(tmp_path / "a.png", icc_profile=profile)
        assert np.allclose(load("a", 4, tmp_path), expected, atol=0.03)
    Image.new("RGBA", (9, 9), (255, 0, 0, 0)).save(tmp_path / "a.png", icc_profile=swapped)
    assert np.allclose(load("a", 4, tmp_path), 1)


# --- shapes and scaling


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("tall", [False, True])
def test_a_long_strip_gives_its_central_square(suffix: str, tall: bool, tmp_path: Path) -> None:
    strip = Image.new("RGB", (12000, 20), "red")
    strip.paste("lime", (5982, 0, 6018, 20))
    strip = strip.transpose(Image.Transpose.ROTATE_90) if tall else strip
    strip.save(tmp_path / f"a.{suffix}", quality=95)
    assert np.allclose(load("a", 64, tmp_path), [0, 1, 0], atol=0.05)


def test_one_pixel_fills_the_image_and_the_image_may_be_one_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (10, 20, 30)).save(tmp_path / "a.png")
    assert np.allclose(load("a", 64, tmp_path) * 255, (10, 20, 30))
    Image.linear_gradient("L").save(tmp_path / "b.png")
    assert load("b", 1, tmp_path).shape == (1, 1, 3)


def test_shrinking_averages_without_halos_or_aliases(tmp_path: Path) -> None:
    y, x = np.indices((250, 250))
    Image.fromarray(((x + y) % 2 * 255).astype(np.uint8)).save(tmp_path / "a.png")
    assert np.abs(load("a", 64, tmp_path) - 0.5).max() < 0.03
    Image.fromarray(np.where(x < 101, 60, 200).astype(np.uint8)).save(tmp_path / "b.png")
    step = load("b", 64, tmp_path) * 255
    assert step.min() >= 59.9
    assert step.max() <= 200.1
    assert (np.diff(step[0, :, 0]) > -0.1).all()


def test_a_big_jpeg_is_decoded_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.linear_gradient("L").resize((2048, 2048)).save(tmp_path / "a.jpg")
    decoded = []

    def spy(image: Image.Image) -> Image.Image:
        decoded.append(image.size)
        return image

    monkeypatch.setattr(inputs.ImageOps, "exif_transpose", spy)
    ramp = load("a", 64, tmp_path)[:, :, 0]
    assert decoded == [(256, 256)]
    assert np.allclose(ramp.mean(1), (np.arange(64) + 0.5) / 64, atol=0.01)


# --- drawings


def test_svg_keeps_edges_on_the_grid_and_lies_on_white(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("\ufeff" + SQUARE, encoding="utf-8")
    image = load("a", 8, tmp_path)
    assert np.allclose(image[:, :4], [1, 0, 0])
    assert np.allclose(image[:, 4:], 1)


@pytest.mark.parametrize(
    "attributes", ['viewBox="0 0 24 8"', 'viewBox="8 -8 8 24"', 'viewBox="0 0 24 8" width="99999" height="33333"']
)
def test_svg_gives_its_central_square_sharply(attributes: str, tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(SVG.format(attributes, '<rect x="8" width="4" height="8" fill="#00f"/>'))
    image = load("a", 8, tmp_path)
    assert np.allclose(image[:, :4], [0, 0, 1], atol=0.02)
    assert np.allclose(image[:, 4:], 1, atol=0.02)


@pytest.mark.parametrize(
    "reference",
    [
        'href="{}"',
        "xlink:href = '{}'",
        'href="\n{}"',
        'href="file://{}"',
        'href="https://example.org/{}"',
        'HREF="{}"',
        'href="&#x2f;{}"',
    ],
)
def test_svg_that_refers_to_a_file_is_refused(reference: str, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    picture = f'<image width="8" height="8" {reference.format(tmp_path / "secret.png")}/>'
    (tmp_path / "a.svg").write_text(SVG.format('viewBox="0 0 8 8"', picture))
    refused(tmp_path, "a.svg", "outside itself", "embed")


@pytest.mark.parametrize(
    ("entity", "body"),
    [
        ("{}", '<image width="8" height="8" href="&e;"/>'),
        ("<image width='8' height='8' href='{}'/>", "&e;"),
        ("<image width='8' height='8' hre&#102;='{}'/>", "&e;"),
    ],
)
def test_svg_entities_hide_no_reference(entity: str, body: str, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    declared = f'<!DOCTYPE svg [<!ENTITY e "{entity.format(tmp_path / "secret.png")}">]>'
    (tmp_path / "a.svg").write_text(declared + SVG.format('viewBox="0 0 8 8"', body))
    refused(tmp_path, "a.svg")


def test_svg_may_refer_to_itself(tmp_path: Path) -> None:
    body = '<rect id="r" width="4" height="8" fill="#f00"/><use href="#r" x="4"/>'
    (tmp_path / "a.svg").write_text(SVG.format('viewBox="0 0 8 8"', body))
    assert np.allclose(load("a", 8, tmp_path), [1, 0, 0])


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (SQUARE[:60].encode(), "cannot draw"),
        (b"hello", "cannot draw"),
        (b"<html/>", "cannot draw"),
        (b"", "is empty"),
        (b"\x1f\x8b\x08\x00", "not UTF-8"),
        (SVG.format('width="0" height="0"', "").encode(), "cannot draw"),
        (SVG.format('viewBox="0 0 4000 8"', "").encode(), "times as long"),
        (SVG.format('viewBox="0 0 8 8"', "<text>hi</text>").encode(), "convert the text to paths"),
    ],
)
def test_broken_svg(source: bytes, word: str, tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(source)
    refused(tmp_path, "a.svg", word)


# --- files that are no images


def _encoded(format: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, format)
    return file.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_truncated_files(format: str, kept: float, tmp_path: Path) -> None:
    data = _encoded(format)
    suffix = {"JPEG": "jpg", "TIFF": "tif"}.get(format, format.lower())
    (tmp_path / f"a.{suffix}").write_bytes(data[: int(len(data) * kept)])
    refused(tmp_path, f"a.{suffix}")


def _chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


FAULTY = {
    "Exif data that are none": (b"eXIf", b"garbage"),
    "Exif data, wrong checksum": (b"eXIf", b"MM\0*\0\0\0\x08", 1),
    "a text, wrong checksum": (b"tEXt", b"Author\0me", 1),
    "a text of 80 MB": (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000))),
    "a resolution cut short": (b"pHYs", b"\0"),
    "primaries cut short": (b"cHRM", b"\0"),
    "an animation cut short": (b"acTL", b"\0"),
    "a chunk that nobody knows, wrong checksum": (b"abCd", b"?", 1),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_in_the_metadata_of_a_png_costs_no_pixels(fault: str, tmp_path: Path) -> None:
    data = _encoded("PNG")
    (tmp_path / "whole.png").write_bytes(data)
    (tmp_path / "a.png").write_bytes(data[:33] + _chunk(*FAULTY[fault]) + data[33:])  # after the header
    assert np.array_equal(load("a", folder=tmp_path), load("whole", folder=tmp_path))


def test_a_png_is_turned_although_other_metadata_are_faulty(tmp_path: Path) -> None:
    upright = Image.new("RGB", (32, 32), "white")
    upright.paste("red", (0, 0, 32, 16))
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 3
    upright.transpose(Image.Transpose.ROTATE_180).save(file, "PNG", exif=exif)
    (tmp_path / "a.png").write_bytes(file.getvalue()[:33] + _chunk(b"pHYs", b"\0") + file.getvalue()[33:])
    assert np.allclose(load("a", 2, tmp_path)[:, 0], [[1, 0, 0], [1, 1, 1]], atol=0.1)


def test_text_an_empty_file_and_a_foreign_format(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("Dear professor,\nthis is my project.\n")
    refused(tmp_path, "a.jpg", "is not a readable image", "save it as")
    (tmp_path / "a.jpg").write_bytes(b"")
    refused(tmp_path, "a.jpg", "is empty")
    with pytest.raises(InputError, match="is empty"):
        digest_of(tmp_path / "a.jpg")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", "EPS")
    refused(tmp_path, "a.jpg", "is not a readable image")


def test_a_file_with_the_suffix_of_another_format_still_loads(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.jpg", "PNG")
    assert np.allclose(load("a", 4, tmp_path), [1, 0, 0])


@pytest.mark.parametrize("file", ["a.png", "a.svg"])
def test_folders_broken_links_and_locked_files(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / file
    path.mkdir()
    refused(tmp_path, file, "is a folder: name an image in it")
    path.rmdir()
    path.symlink_to(tmp_path / "gone")
    refused(tmp_path, file, "is a link to", "gone, which is not there: correct the link")
    path.unlink()
    for ask in (read, digest_of):
        with pytest.raises(InputError, match=rf"{file} is not there: correct the path or add the image$"):
            ask(path)
    os.mkfifo(path)
    refused(tmp_path, file, "is not a regular file")
    path.unlink()
    path.write_bytes(b"x")

    def denied(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))  # root, as in a container, is never denied

    monkeypatch.setattr(Path, "read_bytes", denied)
    refused(tmp_path, file, "Permission denied", "permissions")
    with pytest.raises(InputError, match="Permission denied"):
        digest_of(path)


@pytest.mark.parametrize("factor", [1.5, 3])
def test_decompression_bombs_come_with_advice(
    factor: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2_000_000)
    Image.new("1", (2000, round(1000 * factor))).save(tmp_path / "a.png")
    refused(tmp_path, "a.png", "2 megapixels", "scale it down")
    assert not recwarn.list


@pytest.mark.parametrize("file", ["campanile.heic", "campanile.jxl", "campanile.dng"])
def test_an_image_of_a_type_that_is_not_read_is_named(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b"x")
    with pytest.raises(InputError, match=rf"{file} is not a readable image: save it as a JPEG or PNG file$"):
        read(tmp_path / file)


def test_an_image_beside_the_one_that_is_meant_is_named_by_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    root = fixture.report(tmp_path / "report")
    folder = root / "report" / "writeup" / "inputs"
    folder.mkdir(exist_ok=True)
    for name in ("campanile.heic", "Fox.JPG", "campanile.svg", "holiday.jpg", "campanile.txt"):
        (folder / name).write_bytes(b"x")
    told: list[str] = []
    build(root, tell=told.append)
    assert told == [
        f"report/writeup/inputs/{file}: not used, for report/report.toml names {meant}: name this file, or move it"
        for file, meant in (("Fox.JPG", "fox.svg"), ("campanile.heic", "campanile.svg"))
    ]
