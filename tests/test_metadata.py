"""What travels with the images and the site, read back by Pillow, ElementTree and rocrate, which are not ours."""

from __future__ import annotations

import hashlib
import json
import re
import xml.etree.ElementTree as etree
from pathlib import Path

import page_fixture as fixture
import pytest
import yaml
from page_fixture import panel, section
from PIL import Image
from rocrate.rocrate import ROCrate

from report.page.builder import build

EXTENSION = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
CODES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
EVIL = '</script><script>alert(1)</script> & "quotes" ]]> <b>'


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = fixture.folder(tmp_path_factory.mktemp("provenance") / "report")
    section(root, "1.1", {"noisy": [panel("noisy", origin="noised", prompts=[], gamma=None, timesteps=[])]})
    section(root, "1.5", {"samples": [panel("a"), panel("b", 1, seeds=[43])]})
    section(root, "1.7", {"edits": [panel("edit", origin="edit"), panel("before", 1, origin="photograph")]})
    section(root, "1.8", {"large": [panel("large", size=256, prompts=[EVIL, ""])]}, caption=EVIL)
    return build(root).parent


def source(image: Image.Image) -> str | None:
    """The IPTC digital source type of an image."""
    packet = image.info["xmp"]
    found = etree.fromstring(packet if isinstance(packet, bytes) else packet.encode()).iter(EXTENSION)
    return next((element.text for element in found), None)


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("1.1-noisy-01-*.webp", None),
        ("1.5-samples-01-*.webp", "trainedAlgorithmicMedia"),
        ("1.7-edits-01-*.webp", "compositeWithTrainedAlgorithmicMedia"),
        ("1.7-edits-02-*.webp", None),
        ("1.8-large-01-*.avif", "trainedAlgorithmicMedia"),
        ("1.8-large-01-*.jpg", "trainedAlgorithmicMedia"),
        ("1.1-noisy-grid-*.png", None),
        ("1.5-samples-grid-*.png", "trainedAlgorithmicMedia"),
        ("1.7-edits-grid-*.png", "compositeWithTrainedAlgorithmicMedia"),
    ],
)
def test_every_image_says_where_it_comes_from(site, pattern, code):
    (path,) = (site / "figures").glob(pattern)
    with Image.open(path) as image:
        assert source(image) == (code and CODES + code)


def test_every_image_says_how_it_was_made(site):
    for path in (site / "figures").glob("1.8-large*"):
        with Image.open(path) as image:
            packet = image.info["xmp"]
            text = next(etree.fromstring(packet).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")).text
        told = json.loads(text)
        assert told["prompts"] == [EVIL, ""]
        assert (told["figure"], told["model"], told["gamma"], told["seeds"]) == ("1.8-large", "pocket", 7.0, [42])
        assert told["timesteps"] == "990, 960 … 0 (34 steps)"
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert json.loads(image.text["parameters"]) == told


def test_metadata_leave_the_pixels_as_they_are(site):
    (path,) = (site / "figures").glob("1.5-samples-01-*.webp")
    record = json.loads((site / "records" / "1.5.json").read_text())
    with Image.open(path) as image:
        assert hashlib.sha256(image.convert("RGB").tobytes()).hexdigest() == record["figures"][0]["panels"][0]["pixels"]


def test_the_page_speaks_schema_org(site):
    page = (site / "index.html").read_text()
    (block,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    told = json.loads(block)
    assert (told["@context"], told["@type"]) == ("https://schema.org", "Report")
    assert told["license"] == "https://spdx.org/licenses/MIT"
    images = {Path(image["contentUrl"]).name.split("-grid")[0]: image for image in told["image"]}
    assert set(images) == {"1.1-noisy", "1.5-samples", "1.7-edits", "1.8-large"}
    assert all((site / image["contentUrl"]).is_file() for image in images.values())
    assert images["1.8-large"]["caption"] == EVIL
    assert "digitalSourceType" not in images["1.1-noisy"]
    assert images["1.5-samples"]["digitalSourceType"] == "https://schema.org/TrainedAlgorithmicMediaDigitalSource"
    assert images["1.7-edits"]["digitalSourceType"].endswith("/CompositeWithTrainedAlgorithmicMediaDigitalSource")


def test_the_site_is_an_ro_crate(site):
    crate = ROCrate(site)
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert {part.id for part in crate.root_dataset["hasPart"]} == files - {"ro-crate-metadata.json"}
    assert str(crate.root_dataset["license"].id) == "https://spdx.org/licenses/MIT"
    assert crate.root_dataset["author"][0]["name"] == "the diffusion-report authors"
    for part in crate.root_dataset["hasPart"]:
        data = (site / part.id).read_bytes()
        assert (part["sha256"], part["contentSize"]) == (hashlib.sha256(data).hexdigest(), str(len(data)))


def test_the_citation_file_has_what_its_schema_requires():
    cited = yaml.safe_load((fixture.REPO / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["cff-version"] == "1.2.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", cited["date-released"])
