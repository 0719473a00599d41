"""Redrawing and comparing: identical, close, different, and invalidated results."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import page_fixture as fixture
import pytest
import torch
from PIL import Image

from generators import models
from generators.records.errors import VerifyError
from generators.running import processor, run, staleness
from generators.running.session import Observer, Session
from report.figures import figure_png
from report.page.builder import build
from report.problems import Problems
from report.publishing import verify
from report.records import verification
from report.records.drawn import load
from report.records.verification import CLOSE, DIFFERS, IDENTICAL, PanelResult

SECTIONS = ("1.1", "1.5", "1.7.2")  # noise, samples, and edits of an input with guidance


@pytest.fixture(scope="module")
def published(tiny_pocket, tmp_path_factory):
    """A report whose page has these sections, drawn by the tiny network; not to be changed."""
    root = fixture.folder(tmp_path_factory.mktemp("published") / "report")
    for section_id in SECTIONS:
        (root / "generators" / "sections" / staleness.sections()[section_id].name).touch()
    run.draw(root, "pocket", SECTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_png, "compose", lambda *_: b"grid")
        build(root)
    return root


@pytest.fixture
def root(published, tmp_path, monkeypatch):
    """A copy of it, to be changed."""
    shutil.copytree(published, tmp_path / "report", symlinks=True)
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    return tmp_path / "report"


def kinds(found: dict[str, list[PanelResult]]) -> set[str]:
    return {result.kind for of_section in found.values() for result in of_section}


def change(path: Path, edit) -> None:
    content = json.loads(path.read_text())
    edit(content)
    fixture.write_record(path, content)


def test_twice_in_a_row_every_pixel_is_identical(root):
    for _ in range(2):
        found = verify.verify(root, "pocket")
        assert list(found) == list(SECTIONS)
        assert kinds(found) == {IDENTICAL}
    assert sum(map(len, found.values())) == sum(
        len(figure["panels"])
        for section_id in SECTIONS
        for figure in json.loads((root / f"site/records/{section_id}.json").read_text())["figures"]
    )


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("chunk", [1, 3, 32])
def test_threads_chunks_and_the_order_of_sections_stay_within_tolerance(published, tmp_path, threads, chunk):
    """Drawn in one process in the opposite order, by other batches and thread counts than what was published."""
    loaded, before = models.load("pocket"), torch.get_num_threads()
    loaded.first.chunk = chunk
    pages = {record.id: record for record in load(published, "pocket", published / "site", Problems(published))}
    torch.set_num_threads(threads)
    try:
        for section_id in reversed(SECTIONS):
            folder = tmp_path / section_id
            again = run.draw_section(Session(loaded, Observer()), run.load_section(section_id), folder, Observer())
            for figure in pages[section_id].figures:
                for result in verify.compare(pages[section_id], figure, again, folder, published, "pocket"):
                    assert result.kind in (IDENTICAL, CLOSE), (figure.id, result)
    finally:
        torch.set_num_threads(before)


def test_the_result_is_sorted_text_that_says_when_where_and_with_what(root):
    verify.verify(root, "pocket", ["1.1"])
    text = (root / "site/verified/1.1.json").read_text()
    result = json.loads(text)
    assert text == json.dumps(result, indent=1, sort_keys=True) + "\n"
    assert result["when"].endswith("+00:00")
    assert set(result["where"]) == {*("system", "machine", "processor", "instructions", "device", "dtype", "threads")}
    assert result["versions"]["torch"] == torch.__version__
    assert result["tolerance"] == {"largest": 8, "psnr": 48.1}
    assert result["figures"] == {"noisy": [{"kind": "identical", "largest": 0, "psnr": None}] * 4}


def test_a_mark_names_the_processor_and_older_verifications_stay_readable():
    where = {"system": "Linux", "machine": "x86_64", "device": "cpu", "dtype": "float32", "threads": 2}
    found = {"when": "2026-11-23T00:00:00+00:00", "figures": {"noisy": [{"kind": IDENTICAL}]}}

    def told(**more: str) -> str:
        return verification.mark({**found, "where": {**where, **more}}, "noisy").sentence

    assert told() == "Drawn again on 2026-11-23 (Linux x86_64, cpu): every pixel is identical."
    assert "(Linux x86_64, AMD EPYC, AVX-512, cpu)" in told(processor="AMD EPYC", instructions="AVX-512")
    assert "(Linux x86_64, AMD EPYC, cpu)" in told(processor="AMD EPYC", instructions="")


def test_the_processor_is_named_as_the_system_names_it(tmp_path, monkeypatch):
    cpu, info = torch.device("cpu"), tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "CPUINFO", info)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert processor.name(cpu) == "arm64"
    info.write_text("processor : 0\nmodel name\t: \nBogoMIPS : 1\n")
    assert processor.name(cpu) == "arm64"
    info.write_text("processor : 0\nmodel name\t: A: B Processor\nmodel name : C\n")
    assert processor.name(cpu) == "A: B Processor"
    for raw, told in (("AVX512", "AVX-512"), ("AVX2", "AVX2"), ("DEFAULT", "")):
        monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda raw=raw: raw)
        assert processor.instructions(cpu) == told


def test_the_page_marks_the_figures_that_were_verified(root):
    assert 'class="mark' not in build(root).read_text()
    verify.verify(root, "pocket", ["1.1"])
    page = build(root).read_text()
    assert page.count('class="mark"') == 1
    assert "every pixel is identical" in page[page.index('id="fig-1_1-noisy"') : page.index('id="fig-1_5-samples"')]
    assert build(root).read_text() == page  # carried over from the old site


@pytest.mark.parametrize(
    "edit",
    [
        lambda record: record["figures"][0]["panels"][1].update(pixels="0" * 64),
        lambda record: record["figures"][0]["panels"][1]["case"].update(t=251),
        lambda record: record["depends"].update(source="0" * 64),
        lambda record: record["model"].update(digest="0" * 64),
        lambda record: record["figures"][0]["panels"].pop(),
    ],
)
def test_a_verdict_is_void_when_its_record_changes(root, edit):
    verify.verify(root, "pocket", ["1.1"])
    record = root / "site/records/1.1.json"
    assert verification.read(root / "site", record)
    change(record, edit)
    assert verification.read(root / "site", record) is None


def test_a_void_verdict_leaves_the_site_with_the_next_build(root):
    verify.verify(root, "pocket", ["1.1"])
    change(root / ".report/pocket/1.1/record.json", lambda record: record["depends"].update(source="0" * 64))
    assert 'class="mark"' not in build(root).read_text()
    assert not (root / "site/verified").exists()


def test_new_words_and_other_durations_leave_a_verdict_as_it_is(root):
    verify.verify(root, "pocket", ["1.1"])

    def reword(record):
        record.update(title="New", seconds=99.0)
        record["figures"][0].update(caption="New")
        record["figures"][0]["panels"][0].update(label="New", alt="New", seconds=9.0)

    change(root / "site/records/1.1.json", reword)
    assert verification.read(root / "site", root / "site/records/1.1.json")


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": 2}', "{" * 9])
def test_a_damaged_verification_is_no_verification(root, text):
    verify.verify(root, "pocket", ["1.1"])
    (root / "site/verified/1.1.json").write_text(text)
    assert verification.read(root / "site", root / "site/records/1.1.json") is None
    assert 'class="mark' not in build(root).read_text()


def repaint(root: Path, change_pixels) -> None:
    """Make 1.1's second panel another picture, in the record, in .report and on the page."""
    folder = root / ".report/pocket/1.1"
    record = json.loads((folder / "record.json").read_text())
    panel = record["figures"][0]["panels"][1]
    with Image.open(folder / panel["file"]) as file:
        pixels = change_pixels(np.asarray(file.convert("RGB")).astype(int)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(folder / panel["file"], "WEBP", lossless=True, exact=True)
    panel["pixels"] = sha256(pixels.tobytes()).hexdigest()
    panel["bytes"] = sha256((folder / panel["file"]).read_bytes()).hexdigest()
    fixture.write_record(folder / "record.json", record)
    build(root)


@pytest.mark.parametrize(
    ("off", "kind", "largest"),
    [(lambda rgb: rgb ^ (rgb & 1), CLOSE, 1), (lambda rgb: 255 - rgb, DIFFERS, 255)],
)
@pytest.mark.parametrize("drawn_here", [True, False])
def test_other_pixels_are_measured(root, off, kind, largest, drawn_here):
    repaint(root, off)
    if not drawn_here:
        shutil.rmtree(root / ".report")
    (found,) = verify.verify(root, "pocket", ["1.1"]).values()
    assert [result.kind for result in found] == [IDENTICAL, kind, IDENTICAL, IDENTICAL]
    assert (found[1].largest or 0) <= largest
    assert (found[1].psnr >= 48.1) == (kind == CLOSE)
    page = build(root).read_text()
    assert ('class="mark fails"' in page) == (kind == DIFFERS)


def test_a_large_panel_is_compared_as_it_is_shown_where_only_its_page_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    root = fixture.folder(tmp_path)
    fixture.section(root, "0", {"stages": [fixture.panel("large", size=256)]})
    build(root)
    shutil.rmtree(root / ".report")
    (record,) = load(root, "pocket", root / "site", Problems(root))
    picture = np.asarray(fixture.picture(0, 256))
    for name, image, kinds in (
        ("same", picture, {IDENTICAL}),
        ("near", picture ^ (np.arange(picture.size).reshape(picture.shape) == 0), {CLOSE}),
        ("other", 255 - picture, {DIFFERS}),
    ):
        Image.fromarray(image).save(tmp_path / f"{name}.webp", lossless=True, exact=True)
        pixels = sha256(image.tobytes()).hexdigest()
        again = {"figures": [{"name": "stages", "panels": [
            {"file": f"{name}.webp", "width": 256, "height": 256, "pixels": pixels}]}]}  # fmt: skip
        found = verify.compare(record, record.figures[0], again, tmp_path, root, "pocket")
        assert {result.kind for result in found} == kinds, (name, found)


def test_a_panel_that_is_gone_or_of_another_size_differs(root):
    (record, *_) = load(root, "pocket", root / "site", Problems(root))
    for panels in ([], [{"width": 1, "height": 1, "pixels": "", "file": ""}]):
        again = {"figures": [{"name": "noisy", "panels": panels}]}
        found = verify.compare(record, record.figures[0], again, root, root, "pocket")
        assert found == [PanelResult(DIFFERS, None)] * 4


def test_a_sample_is_of_so_many_sections(root):
    found = verify.verify(root, "pocket", sample=2)
    assert len(found) == 2
    assert set(found) < set(SECTIONS)
    assert {path.stem for path in (root / "site/verified").iterdir()} == set(found)


def test_what_is_not_published_or_is_stale_is_refused_in_one_line(root):
    with pytest.raises(VerifyError, match=r"^section 1\.9 is not on pocket's published page; published: 1\.1, 1\.5"):
        verify.verify(root, "pocket", ["1.9"])
    change(root / "site/records/1.5.json", lambda record: record["depends"].update(source="0" * 64))
    with pytest.raises(VerifyError, match=r"^section 1\.5: its source changed since .*; run `report section 1\.5`$"):
        verify.verify(root, "pocket")
    assert not (root / "site/verified").exists()


def test_verdicts_are_summed_up_with_the_worst_of_each_kind():
    found = [
        PanelResult(IDENTICAL),
        PanelResult(CLOSE, 1, 62.04),
        PanelResult(CLOSE, 2, 55.0),
        PanelResult(DIFFERS, None),
    ]
    assert verification.summary(found) == (
        "1 identical, 2 within tolerance (at most 2 of 255 off, PSNR at least 55.0 dB), 1 differs"
    )
