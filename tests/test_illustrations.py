"""Pictures of the author's own in the prose."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import page_fixture as fixture
import pytest
from page_fixture import panel, prose, section
from PIL import Image, ImageCms

from generators.records.errors import BuildError
from report.figures import figure_png
from report.page import budget, links
from report.page.builder import build
from report.publishing import expectations

FIGURE = "/// fig | 1.2-blur\n///\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    fixture.folder(tmp_path)
    section(tmp_path, "1.2", {"blur": [panel("a")]})
    (tmp_path / "report" / "writeup" / "inputs").mkdir()
    return tmp_path


def shown(root: Path, image: Image.Image, name: str = "My scan.jpg", **options) -> tuple[str, list[Path]]:
    """The element of a picture in the prose, and its files."""
    address = name.replace(" ", "_")
    image.save(root / "report" / "writeup" / "inputs" / address, **options)
    prose(root, "part_1_2", f"{FIGURE}\nAs I drew it: ![A boat, by “me” & co](inputs/{address})\n")
    page = build(root).read_text()
    site = root / "site"
    assert links.broken(page, site) == []
    (found,) = re.findall(r"As I drew it: (.*?)</p>", page, re.DOTALL)
    return found, sorted((site / "figures").glob("prose-*"))


def test_it_is_published_in_the_forms_of_panels_with_its_alt_text(root):
    html, files = shown(root, fixture.picture(1, 256).resize((2000, 1500)))
    assert [re.sub(r"-[0-9a-f]{12}", "", path.name) for path in files] == [
        f"prose-my-scan{width}.{kind}" for width in ("-256w", "-512w", "") for kind in ("avif", "jpg")
    ]
    with Image.open(files[-1]) as widest:
        assert widest.size == (1024, 768)
    assert 'alt="A boat, by “me” &amp; co"' in html
    assert 'width="1024" height="768"' in html
    assert html.startswith("<picture>")
    assert budget.weigh((root / "site/index.html").read_text(), root / "site")["whole"] > files[0].stat().st_size


def test_a_small_one_keeps_its_pixels(root):
    image = fixture.picture(2, 64)
    html, (file,) = shown(root, image, "tiny.png")
    assert Image.open(file).convert("RGB").tobytes() == image.tobytes()
    assert 'class="pixels"' in html


def test_its_metadata_stay_at_home(root):
    """A photograph says where it was taken, and which way is up."""
    image, exif = fixture.picture(3, 256), Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x9286] = b"ASCII\0\0\0at my home"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _, files = shown(root, image.resize((256, 128)), exif=exif, icc_profile=profile, comment=b"at my home")
    for path in files:
        with Image.open(path) as found:
            assert found.size == (128, 256)
            assert not set(found.info) & {"exif", "icc_profile", "comment", "xmp"}
        assert b"my home" not in path.read_bytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK"])
def test_every_mode_is_read_and_transparent_is_white(root, mode):
    image = Image.new("RGBA", (100, 100), (0, 0, 0, 0)) if "A" in mode else Image.new("L", (100, 100), 255)
    _, files = shown(root, image.convert(mode), "scan.tiff" if mode == "CMYK" else "scan.png")
    assert min(Image.open(files[-1]).convert("L").getdata()) > 250 or mode == "CMYK"


def test_a_picture_of_too_many_pixels_is_one_line(root, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(BuildError, match=r"^report/writeup/part_1_2\.md:4: big\.png has more than 0 megapixels; scale"):
        shown(root, Image.new("RGB", (300, 300)), "big.png")


def test_code_and_escapes_are_no_pictures(root):
    prose(root, "part_1_2", f"{FIGURE}\nWrite `![what](inputs/x.png)` or \\![what](#sec-1_2).\n")
    page = build(root).read_text()
    assert "<code>![what](inputs/x.png)</code>" in page
    assert '!<a href="#sec-1_2">what</a>' in page


def test_what_is_missing_is_found_before_drawing(tmp_path):
    root = tmp_path / "report"
    root.mkdir()
    for name in ("templates", "CITATION.cff"):
        (root / name).symlink_to(fixture.REPO / name)
    shutil.copytree(fixture.REPO / "report" / "writeup", root / "report" / "writeup")
    shutil.copy(fixture.REPO / "report" / "report.toml", root / "report")
    shutil.copytree(fixture.REPO / "generators", root / "generators", ignore=shutil.ignore_patterns("weights", "__py*"))
    path = root / "report" / "writeup" / "part_1_1.md"
    lines = len(path.read_text().splitlines())
    path.write_text(path.read_text() + "\n![A boat](inputs/boat.jpg)\n")
    with pytest.raises(BuildError) as caught:
        expectations.check(root, "pocket", ["0", "1.1"])
    told = f"report/writeup/part_1_1.md:{lines + 2}: boat.jpg: there is no such file in inputs"
    assert told in str(caught.value).splitlines()
