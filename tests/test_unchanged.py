"""What is not done twice: a build of what has not changed, and texts that are kept by what they are computed from."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import page_fixture as fixture
import pytest
from click.testing import CliRunner

from generators.records import kept
from generators.records.kept import Kept, keeping
from report.command import cli
from report.command.unchanged import Unchanged


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A report with templates, weights and a library of its own, whose page is built."""
    root = fixture.folder(tmp_path / "report")
    (root / "templates").unlink()
    shutil.copytree(fixture.REPO / "templates", root / "templates")
    fixture.section(root, "1.5", {"samples": fixture.samples(None)})
    fixture.prose(root, "part_1_5", "Samples.\n\n/// fig | 1.5-samples\n///\n")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "some.safetensors").write_bytes(b"1234")
    (tmp_path / "libraries" / "library-1.dist-info").mkdir(parents=True)
    monkeypatch.setenv("POCKET_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "libraries")])
    monkeypatch.setattr(cli, "ROOT", root)
    build()
    return root


def build(verb: str = "site") -> str:
    ran = CliRunner().invoke(cli.main, [verb])
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_a_second_build_of_the_same_is_skipped(root):
    before = (root / "site").stat().st_ino
    assert build().splitlines() == [f"{root / 'site' / 'index.html'}  (unchanged)"]
    assert (root / "site").stat().st_ino == before


def same_size_and_time(path: Path) -> None:
    """Changes a file so that neither its size nor the time of its last change tells."""
    of = path.stat()
    path.write_bytes(path.read_bytes().replace(b"Samples", b"Ampless"))
    os.utime(path, ns=(of.st_atime_ns, of.st_mtime_ns))


CHANGES = {
    "a touched template": lambda root: (root / "templates" / "page.html.j2").touch(),
    "prose of the same size and time": lambda root: same_size_and_time(root / "report/writeup/part_1_5.md"),
    "new prose": lambda root: fixture.prose(root, "intro", "More.\n"),
    "new code": lambda root: (root / "generators" / "new.py").write_text("NEW = 1\n"),
    "a source that is quoted": lambda root: (root / "generators" / "schedule.py").write_text("STRIDE = 20\n"),
    "a file behind a link": lambda root: (root / "report" / "linked.md").symlink_to(root / "CITATION.cff"),
    "a removed picture": lambda root: next(root.glob("site/figures/*.webp")).unlink(),
    "a page edited by hand": lambda root: (root / "site" / "index.html").write_text("mine"),
    "a new file in the site": lambda root: (root / "site" / "new.txt").write_text("mine"),
    "a removed page": lambda root: shutil.rmtree(root / "site"),
    "a record": lambda root: fixture.section(root, "1.5", {"samples": fixture.samples(7.0)}),
    "a new section": lambda root: fixture.section(root, "1.6", {"samples": fixture.samples(7.0)}),
    "a citation": lambda root: (root / "CITATION.cff").touch(),
    "other weights": lambda root: (root.parent / "weights" / "some.safetensors").write_bytes(b"5678"),
    "another version of a library": lambda root: (root.parent / "libraries" / "library-1.dist-info").rename(
        root.parent / "libraries" / "library-2.dist-info"
    ),
    "a removed note": lambda root: shutil.rmtree(root / ".cache"),
    "a damaged note": lambda root: (root / ".cache" / "built.json").write_text("["),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_build_is_never_skipped_after(root, change):
    change(root)
    assert "(built in" in build()
    assert "(unchanged)" in build()


def test_a_folder_for_weights_elsewhere_counts(root, tmp_path, monkeypatch):
    shutil.copytree(tmp_path / "weights", tmp_path / "others")
    monkeypatch.setenv("POCKET_WEIGHTS", str(tmp_path / "others"))
    assert "(built in" in build()


def test_another_model_is_another_page(root):
    assert Unchanged(root, "pocket").told() is not None
    assert Unchanged(root, "deepfloyd").told() is None


def test_a_page_does_not_tell_that_its_sections_are_up_to_date(root):
    assert Unchanged(root, "pocket").told(drawn=True) is None


@pytest.mark.parametrize("when", ["before the build", "during the build"])
def test_code_that_changes_while_a_command_runs_is_not_taken_for_what_ran(root, when):
    begun = Unchanged(root, "pocket")
    state = None
    if when == "during the build":
        state = begun.state()
        assert state
    (root / "generators" / "schedule.py").write_text("STRIDE = 20\n")
    begun.keep(state or begun.state(), [], drawn=True)
    assert Unchanged(root, "pocket").told() is None


def test_what_was_new_is_new_once(root):
    """The lines about the page are those that another build would print."""
    fixture.section(root, "1.5", {"samples": fixture.samples(7.0)[::-1]}, drawn="2026")
    first, again = build(), build()
    (root / ".cache" / "built.json").unlink()
    assert [line for line in again.splitlines() if "site" not in line] == [
        line for line in build().splitlines() if "site" not in line
    ]
    assert "(built in" in first


# --- texts that are kept


def counting(log: list[str], text: str):
    def compute() -> str:
        log.append(text)
        return text

    return compute


def test_texts_are_computed_once_for_a_basis(tmp_path):
    log: list[str] = []
    for basis in ("one", "one", "another"):
        texts = Kept(tmp_path / "texts.json", basis)
        assert texts.find("key", counting(log, basis)) == basis
        texts.save()
    assert log == ["one", "another"]


def test_a_file_keeps_what_is_used(tmp_path):
    for keys, only_used in (("ab", False), ("c", False), ("bd", True)):
        texts = Kept(tmp_path / "texts.json", "")
        for key in keys:
            texts.find(key, counting([], key))
        texts.save(only_used)
    assert json.loads((tmp_path / "texts.json").read_text())["texts"] == {"b": "b", "d": "d"}


@pytest.mark.parametrize("content", ["", "[", "[]", "{}", '{"basis": ""}', '{"basis": "", "texts": 5}', '"x"'])
def test_a_damaged_file_has_no_texts_and_is_replaced(tmp_path, content):
    (tmp_path / "texts.json").write_text(content)
    texts = Kept(tmp_path / "texts.json", "")
    assert texts.find("key", counting([], "text")) == "text"
    texts.save()
    assert json.loads((tmp_path / "texts.json").read_text())["texts"] == {"key": "text"}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    with keeping(tmp_path / "file" / "texts.json"):
        assert shouted("a") == "A"


calls: list[str] = []


@kept.kept("pytest")
def shouted(text: str) -> str:
    calls.append(text)
    return text.upper()


def test_a_marked_function_is_called_once_for_its_texts_its_code_and_its_libraries(tmp_path, monkeypatch):
    calls.clear()
    for _ in range(2):
        with keeping(tmp_path / "texts.json"):
            assert [shouted("a"), shouted("b")] == ["A", "B"]
    assert calls == ["a", "b"]
    assert shouted("a") == "A"  # outside, nothing is kept
    assert calls == ["a", "b", "a"]
    monkeypatch.setattr(kept, "version", lambda name: "another")
    again = kept.kept("pytest")(shouted.__wrapped__)
    with keeping(tmp_path / "texts.json"):
        assert again("a") == "A"
    assert calls == ["a", "b", "a", "a"]
