"""What the page shows after a new drawing: published images stay where it agrees with them, and only they."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import page_fixture as fixture
import pytest
from PIL import Image

from generators.records.record import seal
from report.figures import figure_png
from report.page import reconcile
from report.page.builder import build
from report.records import agreement
from report.records.agreement import DIFFERS, IDENTICAL, ROUNDED, Outcome, measure

RECORD = ".report/pocket/1.3/record.json"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A published page with a section of two small panels, which found values, and a large one."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    root = fixture.folder(tmp_path / "report")
    shown = [fixture.panel(f"PSNR {20 + k}.12 dB", k, found={"psnr": 20.12 + k}) for k in range(2)]
    fixture.section(root, "1.3", {"small": shown, "large": [fixture.panel("large", 7, 256)]})
    change(root, lambda record: record.update(drawn="2026-11-01", depends={"source": "a"}))
    build(root)
    return root


def change(root: Path, edit) -> None:
    content = json.loads((root / RECORD).read_text())
    edit(content)
    fixture.write_record(root / RECORD, content)


def redraw(root: Path, pixels=lambda rgb: rgb, figure: int = 0, panel: int = 1, **found: float) -> None:
    """Another drawing of the section, in which one panel has other pixels and found other values."""

    def edit(record):
        kept = record["figures"][figure]["panels"][panel]
        path = (root / RECORD).parent / kept["file"]
        with Image.open(path) as file:
            new = pixels(np.asarray(file.convert("RGB")).astype(int)).clip(0, 255).astype(np.uint8)
        Image.fromarray(new).save(path, "WEBP", lossless=True, exact=True)
        kept["pixels"] = sha256(new.tobytes()).hexdigest()
        for name, value in found.items():
            kept["found"][name] = value
            kept["label"] = f"PSNR {value} dB"
        record.update(drawn=record["drawn"] + "+", seconds=99.9)

    change(root, edit)


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def built(root: Path) -> list[str]:
    """Builds the page and returns what it says of the drawings."""
    told: list[str] = []
    build(root, news=told.append)
    return told


def rounding(rgb):
    """A few values off by one, as on another processor."""
    rgb.reshape(-1)[::1201] += 1
    return rgb


def lone(rgb):
    """One pixel that is not in the lattice, off by far."""
    rgb[101, 101] += 120
    return rgb


def test_a_drawing_that_agrees_leaves_every_file_of_the_site_as_it_is(root):
    before = files(root / "site")
    redraw(root)
    assert built(root) == ["reproduced: 3 identical"]
    assert files(root / "site") == before
    redraw(root, rounding, psnr=21.13)
    redraw(root, rounding, figure=1, panel=0)
    (line,) = built(root)
    assert line.startswith("reproduced: 1 identical, 2 within rounding (at most 1 of 255, ")
    assert files(root / "site") == before


def test_new_words_reach_the_page_and_the_published_pixels_and_values_stay(root):
    before = json.loads((root / "site/records/1.3.json").read_text())
    redraw(root, rounding, psnr=21.13)

    def reword(record):
        record["figures"][0]["caption"] = "A new caption."
        record["figures"][0]["panels"][0]["alt"] = "Other words"

    change(root, reword)
    page = build(root).read_text()
    assert "A new caption." in page
    assert "Other words" in page
    assert "PSNR 21.12" in page
    assert "21.13" not in page
    after = json.loads((root / "site/records/1.3.json").read_text())
    assert [after[name] for name in ("drawn", "seconds")] == [before[name] for name in ("drawn", "seconds")]
    assert agreement.subject(after) == agreement.subject(before)
    assert after["seal"] == seal(after)


def test_other_code_that_draws_the_same_keeps_the_images_and_renews_the_record(root):
    images = {name: data for name, data in files(root / "site").items() if name.startswith("figures/")}
    redraw(root, rounding, psnr=21.13)
    change(root, lambda record: record["depends"].update(source="b"))
    (line,) = built(root)
    assert line.startswith("reproduced: 2 identical, 1 within rounding")
    assert {name: data for name, data in files(root / "site").items() if name.startswith("figures/")} == images
    after = json.loads((root / "site/records/1.3.json").read_text())
    assert after["depends"] == {"source": "b"}
    assert after["seconds"] == 99.9
    assert after["figures"][0]["panels"][1]["found"] == {"psnr": 21.12}
    before = files(root / "site")
    assert built(root) == []  # it is the page's drawing now
    assert files(root / "site") == before


OTHER = {
    "other pixels": (lambda rgb: 255 - rgb, 0, 1, {}),
    "a value off by more than rounding": (lambda rgb: np.where(rgb == rgb[0, 0, 0], rgb + 9, rgb), 0, 1, {}),
    "a number that rounding does not explain": (lambda rgb: rgb, 0, 1, {"psnr": 22.5}),
    "a large panel": (lambda rgb: 255 - rgb, 1, 0, {}),
    "a block of a large panel": (lambda rgb: np.where(np.indices(rgb.shape)[:2].max(0) < 4, rgb + 9, rgb), 1, 0, {}),
    "a lone pixel of a large panel": (lone, 1, 0, {}),
}


@pytest.mark.parametrize("name", OTHER)
def test_only_what_differs_is_new_on_the_page(root, name):
    before = files(root / "site")
    pixels, figure, panel, found = OTHER[name]
    redraw(root, pixels, figure, panel, **found)
    told = built(root)
    assert told == ["reproduced: 2 identical", "new on the page: 1 panel"]
    changed = json.loads((root / RECORD).read_text())["figures"][figure]["panels"][panel]
    after = json.loads((root / "site/records/1.3.json").read_text())
    assert after["figures"][figure]["panels"][panel]["pixels"] == changed["pixels"]
    images = {name for name in files(root / "site") if name.startswith("figures/") and name.count("-") > 2}
    gone = {name for name in before if name.startswith("figures/") and name.count("-") > 2} - images
    assert {name.split("/")[1][:5] for name in gone} <= {("1.3-small", "1.3-large")[figure][:5]}


def test_steps_within_the_tolerance_never_add_up(root):
    """Each drawing is compared with the published image, not with the last drawing."""
    before = files(root / "site")
    for step in range(1, agreement.LARGEST + 2):
        redraw(root, lambda rgb: rgb + (np.indices(rgb.shape).sum(0) == 0))
        (line, *new) = built(root)
        if step <= agreement.LARGEST:
            assert "within rounding" in line
            assert files(root / "site") == before
        else:
            assert new == ["new on the page: 1 panel"]


def test_a_section_with_other_panels_keeps_those_that_are_still_there(root):
    redraw(root)

    def edit(record):
        del record["figures"][1]
        record["figures"][0]["panels"].pop()
        record["depends"]["source"] = "b"

    change(root, edit)
    assert built(root) == ["reproduced: 1 identical"]
    fixture.section(root, "1.3", {"small": [fixture.panel(f"{k}", k) for k in range(3)]})
    change(root, lambda record: record.update(drawn="2026-12-01"))
    assert built(root) == ["new on the page: 3 panels"]  # the first one found a value that the new one does not find


def test_a_damaged_published_image_is_replaced(root):
    redraw(root, rounding)
    (path,) = (root / "site/figures").glob("1.3-small-02-*.webp")
    path.write_bytes(b"no image")
    assert built(root) == ["reproduced: 2 identical", "new on the page: 1 panel"]


def test_a_damaged_comparison_is_made_again(root):
    redraw(root, rounding)
    (line,) = built(root)
    kept = (root / RECORD).with_name(reconcile.KEPT)
    for text in ("", "[]", '{"seals": 1}', "{" * 9):
        kept.write_text(text)
        assert built(root) == [line]


def test_a_fresh_clone_is_built_from_the_published_page_alone(root):
    before = files(root / "site")
    shutil.rmtree(root / ".report")
    assert built(root) == []
    assert files(root / "site") == before


def test_an_outcome_names_its_worst_and_two_add_up():
    found = Outcome(1, 1, 0, 1, 62.04) + Outcome(0, 1, 1, 2, 55.0)
    assert str(found) == "1 identical, 2 within rounding, 1 differ (at most 2 of 255, 55.0 dB)"
    assert str(Outcome(3)) == "3 identical"


def test_the_tolerance_counts_single_values_and_their_mean():
    flat = np.full((64, 64, 3), 100, np.uint8)
    assert measure(flat, flat).kind == IDENTICAL
    one = flat.copy()
    one[0, 0, 0] += agreement.LARGEST
    assert measure(flat, one).kind == ROUNDED
    one[0, 0, 0] += 1
    assert measure(flat, one).kind == DIFFERS
    assert measure(flat, flat + 1).kind == DIFFERS  # 48.1 dB
