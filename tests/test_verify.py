"""`report verify`: drawing again, comparing with the published page, and the ledger of machines."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import page_fixture as fixture
import pytest
import torch

from generators import lab, models
from generators.models.base import Stage
from generators.records.errors import VerifyError
from generators.running import processor, run, staleness
from generators.running.session import Observer, Session
from report.figures import figure_png
from report.page.builder import build
from report.problems import Problems
from report.publishing import verify
from report.publishing.check import publishing_problems
from report.records import confirmations
from report.records.agreement import IDENTICAL, ROUNDED, Outcome
from report.records.drawn import load
from report.web.comparison import compare

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


def change(path: Path, edit) -> None:
    content = json.loads(path.read_text())
    edit(content)
    fixture.write_record(path, content)


def ledger(root: Path) -> list[Path]:
    return sorted((root / "site/verified").glob("*/*.json"))


def panels(root: Path, section_id: str) -> int:
    record = json.loads((root / f"site/records/{section_id}.json").read_text())
    return sum(len(figure["panels"]) for figure in record["figures"])


def test_twice_in_a_row_every_pixel_is_identical_and_the_ledger_stays_as_it_is(root):
    kept = []
    for _ in range(2):
        found = verify.verify(root, "pocket")
        assert found == {section_id: Outcome(identical=panels(root, section_id)) for section_id in SECTIONS}
        kept.append({path: path.read_bytes() for path in ledger(root)})
    assert kept[0] == kept[1]
    assert len(kept[0]) == len(SECTIONS)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("chunk", [1, 3, 32])
def test_threads_chunks_and_the_order_of_sections_stay_within_rounding(published, tmp_path, threads, chunk):
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
                results = compare(pages[section_id], figure, again, folder, published / "site")
                assert {result.kind for result in results} <= {IDENTICAL, ROUNDED}, (figure.id, results)
    finally:
        torch.set_num_threads(before)


def other_seed(model, patch):
    patch.setattr(lab, "SEED", 43)


def stronger_guidance(model, patch):
    guided = Stage.guided
    patch.setattr(
        Stage, "guided", lambda stage, prompt, gamma=None: guided(stage, prompt, (gamma or stage.gamma) + 0.1)
    )


def other_weights(model, patch):
    (*_, layer) = (each for each in model.first.transformer.parameters() if each.ndim > 1)
    layer.data.mul_(1.01)


@pytest.mark.parametrize(
    ("section_id", "changed"), [("1.5", other_seed), ("1.7.2", stronger_guidance), ("1.5", other_weights)]
)
def test_another_seed_gamma_or_layer_differs(root, monkeypatch, section_id, changed):
    """A seed of 43 for 42, a guidance scale of 3.1 for 3, one layer's weights 1 % larger."""
    loaded = models.load("pocket")
    changed(loaded, monkeypatch)
    monkeypatch.setattr(models, "load", lambda name: loaded)
    found = verify.verify(root, "pocket", [section_id])
    drawn = sum(
        bool(panel["trajectories"])
        for figure in json.loads((root / f"site/records/{section_id}.json").read_text())["figures"]
        for panel in figure["panels"]
    )
    assert found[section_id].differ == drawn > 0


def test_the_ledger_has_a_file_for_each_machine_and_section_that_says_when_where_and_with_what(root):
    verify.verify(root, "pocket", ["1.1"])
    (path,) = ledger(root)
    text = path.read_text()
    result = json.loads(text)
    assert text == json.dumps(result, indent=1, sort_keys=True) + "\n"
    assert result["when"].endswith("+00:00")
    assert set(result["where"]) == {*("system", "machine", "processor", "instructions", "device", "threads")}
    assert result["versions"]["torch"] == torch.__version__
    assert result["figures"] == {"noisy": {"identical": 4, "rounded": 0, "differ": 0, "largest": 0, "psnr": None}}
    assert path.name == "1.1.json"
    assert "torch-2.13.0" in path.parent.name


def elsewhere(root: Path, section_id: str, **outcome: int) -> None:
    """Adds the confirmation of another machine, with this outcome for every figure."""
    (path,) = (path for path in ledger(root) if path.stem == section_id)
    (known,) = confirmations.read(root / "site", json.loads((root / f"site/records/{section_id}.json").read_text()))
    assert root / "site" / known.path == path
    where = {**known.where, "processor": "Another", "instructions": "AVX2"}
    confirmations.write(
        root / "site", replace(known, where=where, figures=dict.fromkeys(known.figures, Outcome(**outcome)))
    )


def test_the_page_lists_all_machines_and_a_figure_the_worst_of_them(root):
    assert 'class="mark' not in build(root).read_text()
    verify.verify(root, "pocket", ["1.1"])
    elsewhere(root, "1.1", identical=1, rounded=3, largest=1, psnr=71.25)
    page = build(root).read_text()
    assert page.count('class="mark"') == 1
    figure = page[page.index('id="fig-1_1-noisy"') : page.index('id="fig-1_5-samples"')]
    assert "on 2 machines, at worst on" in figure
    assert "1 identical, 3 within rounding (at most 1 of 255, 71.2 dB)" in figure
    colophon = page[page.index('id="made"') :]
    assert "panels 4 identical" in colophon
    assert "Another (AVX2)" in colophon
    assert colophon.count("(sections 1.1)") == 2
    assert build(root).read_text() == page  # carried over from the old site


def test_a_machine_on_which_a_panel_differs_takes_the_mark_away_and_fails_the_check(root):
    verify.verify(root, "pocket")
    elsewhere(root, "1.1", identical=3, differ=1, largest=90)
    assert '<figure class="fig' in (page := build(root).read_text())
    assert page.count('class="mark"') == page.count("<figure") - 1
    assert [line for line in publishing_problems(root, "pocket") if "1 panels of 1.1-noisy differ on" in line]


@pytest.mark.parametrize(
    "edit",
    [
        lambda record: record["figures"][0]["panels"][1].update(pixels="0" * 64),
        lambda record: record["figures"][0]["panels"][1]["case"].update(t=251),
        lambda record: record["depends"].update(source="0" * 64),
        lambda record: record["model"].update(digest="0" * 64),
        lambda record: record["versions"].update(torch="2.14.0"),
        lambda record: record["figures"][0]["panels"].pop(),
    ],
)
def test_a_confirmation_is_void_when_its_record_changes(root, edit):
    verify.verify(root, "pocket", ["1.1"])
    record = root / "site/records/1.1.json"
    assert confirmations.read(root / "site", json.loads(record.read_text()))
    change(record, edit)
    assert not confirmations.read(root / "site", json.loads(record.read_text()))


def test_a_void_confirmation_leaves_the_site_with_the_next_build(root):
    verify.verify(root, "pocket", ["1.1"])
    change(root / ".report/pocket/1.1/record.json", lambda record: record["depends"].update(source="0" * 64))
    assert 'class="mark' not in build(root).read_text()
    assert not (root / "site/verified").exists()


def test_new_words_another_machine_and_other_durations_leave_a_confirmation_as_it_is(root):
    verify.verify(root, "pocket", ["1.1"])

    def reword(record):
        record.update(title="New", seconds=99.0, drawn="2027-01-01T00:00:00+00:00", where={}, device="cuda")
        record["versions"].update(python="3.14.0", torch="2.13.0+cu130")
        record["figures"][0].update(caption="New")
        record["figures"][0]["panels"][0].update(label="New", alt="New", seconds=9.0)

    change(root / "site/records/1.1.json", reword)
    assert confirmations.read(root / "site", json.loads((root / "site/records/1.1.json").read_text()))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": 1}', "{" * 9])
def test_a_damaged_confirmation_is_none(root, text):
    verify.verify(root, "pocket", ["1.1"])
    (path,) = ledger(root)
    path.write_text(text)
    assert not confirmations.read(root / "site", json.loads((root / "site/records/1.1.json").read_text()))
    assert 'class="mark' not in build(root).read_text()


def test_a_drawing_made_here_that_is_not_the_pages_confirms_it_without_another(root, monkeypatch):
    run.draw(root, "pocket", ["1.1"], again=True)
    monkeypatch.setattr(models, "load", lambda name: pytest.fail("it was drawn once more"))
    assert verify.verify(root, "pocket", ["1.1"]) == {"1.1": Outcome(identical=4)}
    assert len(ledger(root)) == 1


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


def test_a_sample_is_of_so_many_sections(root):
    found = verify.verify(root, "pocket", sample=2)
    assert len(found) == 2
    assert set(found) < set(SECTIONS)
    assert {path.stem for path in ledger(root)} == set(found)


def test_what_is_not_published_or_is_stale_is_refused_in_one_line(root):
    with pytest.raises(VerifyError, match=r"^section 1\.9 is not on pocket's published page; published: 1\.1, 1\.5"):
        verify.verify(root, "pocket", ["1.9"])
    change(root / "site/records/1.5.json", lambda record: record["depends"].update(source="0" * 64))
    with pytest.raises(VerifyError, match=r"^section 1\.5: its source changed since .*; run `report section 1\.5`$"):
        verify.verify(root, "pocket")
    assert not (root / "site/verified").exists()
