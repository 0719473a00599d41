"""`report serve` hears every change of what the page is made from, and nothing else."""

from __future__ import annotations

import queue
import shutil
import threading
from pathlib import Path

import page_fixture as fixture
import pytest

from generators.records import files
from report.command.serve import changes
from report.figures import figure_png
from report.page.builder import build

LONG = 30  # seconds: most of all that a test waits
SHORT = 3.0  # seconds in which nothing is to be heard


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    root = fixture.folder(tmp_path / "report")
    (root / "templates").unlink()
    shutil.copytree(fixture.REPO / "templates", root / "templates")
    fixture.section(root, "1.2", {"blur": fixture.blurred()})
    fixture.prose(root, "intro", "Words.\n")
    return root


@pytest.fixture
def heard(root):
    """What was heard, once the watch has begun."""
    told, stop = queue.Queue(), threading.Event()

    def listen() -> None:
        for _ in changes(root, "pocket", stop):
            told.put("changed")

    thread = threading.Thread(target=listen)
    thread.start()
    while told.empty():  # until a first change is heard, the watch has not begun
        (root / "report/writeup/intro.md").write_text("Words.\n")
        try:
            told.put(told.get(timeout=0.3))
        except queue.Empty:
            continue
    quiet(told)
    yield told
    stop.set()
    thread.join(LONG)
    assert not thread.is_alive()


def quiet(told: queue.Queue) -> None:
    """Drops what is still told of earlier changes."""
    while True:
        try:
            told.get(timeout=0.7)
        except queue.Empty:
            return


def redraw(root: Path, section: str = "1.2", model: str = "pocket") -> None:
    """Replaces a section's folder as a session does."""
    folder = root / ".report" / model / section
    with files.replacing(folder) as new:
        source = root / ".report/pocket/1.2"
        for path in source.iterdir():
            shutil.copy(path, new)


def test_every_redraw_and_a_new_section_are_heard(root, heard):
    for _ in range(3):
        redraw(root)
        assert heard.get(timeout=LONG)
        quiet(heard)
    redraw(root, "1.3")
    assert heard.get(timeout=LONG)
    quiet(heard)
    redraw(root, "1.3")
    assert heard.get(timeout=LONG)


@pytest.mark.parametrize(
    "name",
    [
        "report/writeup/intro.md",
        "report/writeup/part_1_11.md",
        "report/writeup/inputs/mine.jpg",
        "templates/static/style.css",
        "templates/new/page.html.j2",
        "generators/schedule.py",
        "generators/sections/part_1_11.py",
        "generators/models/pocket/MODEL_CARD.md",
        "CITATION.cff",
        "site/verified/a-machine/1.2.json",
    ],
)
def test_what_the_page_is_made_from_is_heard_twice_however_it_is_written(root, heard, name):
    for text in ("one", "two"):
        files.write(root / name, text)  # under another name, then renamed
        assert heard.get(timeout=LONG)
        quiet(heard)


def test_what_is_not_of_the_page_is_not_heard(root, heard):
    for _ in range(2):
        build(root)  # the site's files are new ones, with the same content
    redraw(root, model="deepfloyd")
    for name in (
        ".report/web/picture.webp",
        ".report/pocket/lock",
        ".report/pocket/.1.2.outputs/0.safetensors",
        ".report/parsl/000/log.md",
        "generators/__pycache__/schedule.pyc",
        "generators/weights.safetensors",
    ):
        files.write(root / name, "text")
    with pytest.raises(queue.Empty):
        heard.get(timeout=SHORT)


def test_after_report_clean_it_goes_on(root, heard):
    shutil.copytree(root / ".report", root / "kept")
    shutil.rmtree(root / ".report")
    assert heard.get(timeout=LONG)
    quiet(heard)
    shutil.copytree(root / "kept" / "pocket", root / ".report" / "pocket", dirs_exist_ok=True)
    assert heard.get(timeout=LONG)
