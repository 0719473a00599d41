"""One section of a model is viewable alone: a page of what is drawn, beside the site, whatever the prose refers to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import page_fixture as fixture
import pytest

from generators.records.errors import BuildError
from report.figures import figure_png
from report.page import links
from report.page.builder import build, build_drawn
from report.page.partial import PartialPage
from report.page.report_page import ReportPage
from report.problems import Problems
from report.records.drawn import load

ROOT = Path(__file__).parents[1]
PUBLISHED = load(ROOT, "pocket", ROOT / "site", Problems(ROOT), drawn_here=False)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A whole report by pocket, built, and section 1.2 of another model."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    root = fixture.report(tmp_path / "report")
    build(root)
    fixture.section(root, "1.2", {"blur": fixture.blurred()}, model="deepfloyd")
    return root


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_section_of_another_model_is_viewable_alone(root):
    before = contents(root / "site")
    index = build_drawn(root, "deepfloyd")
    assert index == root.resolve() / ".report/pages/deepfloyd/index.html"
    page = index.read_text()
    assert re.findall(r'<figure[^>]* id="([^"]+)"', page) == ["fig-1_2-blur"]
    assert 'id="sec-1_2"' in page
    assert 'id="sec-1_4"' not in page
    assert links.broken(page, index.parent) == []
    assert contents(root / "site") == before


def test_a_second_section_joins_it_and_mistakes_are_still_told(root):
    build_drawn(root, "deepfloyd")
    fixture.section(root, "1.4", {"trajectory": [fixture.panel(f"$t = {t}$", t) for t in (690, 90)]}, model="deepfloyd")
    text = (root / "report/writeup/part_1_2.md").read_text()
    fixture.prose(
        root,
        "part_1_2",
        text + "\n\nAs @sec:1.4, @sec:1.7, @fig:1.7-sdedit and @val:1.5.seconds say [there](#fig-1_5-samples).\n",
    )
    page = build_drawn(root, "deepfloyd").read_text()
    assert '<a href="#sec-1_4">' in page
    assert "Section\u00a01.7, Figure\u00a01.7-sdedit and … say" in page
    fixture.prose(root, "part_1_2", text + "\n\nAs @sec:9.9, @fig:1.2-blurr and @fig:8.1-none say.\n")
    with pytest.raises(BuildError) as caught:
        build_drawn(root, "deepfloyd")
    assert len(caught.value.problems) == 3
    assert (root / ".report/pages/deepfloyd/index.html").read_text() == page


def test_pictures_of_equal_pixels_say_which_model_made_them(root, tmp_path):
    """They have the same name on both pages; neither page takes the other's file."""
    index = build_drawn(root, "deepfloyd")
    build(root)
    (root / "report/writeup/intro.md").unlink()
    (one,) = index.parent.glob("figures/1.2-blur-01-*.webp")
    other = root / "site/figures" / one.name
    assert b"deepfloyd" in one.read_bytes()
    assert b"deepfloyd" not in other.read_bytes()
    again = build(root, "deepfloyd", tmp_path / "site", PartialPage).parent
    assert (again / "figures" / one.name).read_bytes() == one.read_bytes()
    shutil.rmtree(root / ".report/web")
    build(root, "deepfloyd", root / "site", PartialPage)  # in the place of the other model's
    assert b"deepfloyd" in other.read_bytes()


def test_the_whole_page_still_asks_for_all(root):
    with pytest.raises(BuildError, match="has not been drawn by deepfloyd"):
        build(root, "deepfloyd")


@pytest.mark.parametrize("record", PUBLISHED, ids=lambda record: record.id)
def test_each_section_of_this_report_is_viewable_alone(record):
    problems = Problems(ROOT)
    page = PartialPage(ROOT, "pocket", ROOT / "site", problems, [record], {record.id: ()})
    html = page.render()
    assert problems.lines == []
    assert f'id="sec-{links.anchor(record.id)}"' in html
    assert {name.partition("-")[0] for name in page.numbers} == {record.id}


def test_a_page_of_all_sections_is_the_same_either_way():
    confirmed = {record.id: () for record in PUBLISHED}
    pages = [
        kind(ROOT, "pocket", ROOT / "site", Problems(ROOT), PUBLISHED, confirmed).render()
        for kind in (ReportPage, PartialPage)
    ]
    assert pages[0] == pages[1]


def test_the_verb_ends_with_the_page_of_what_is_drawn(tiny_pocket, tmp_path):
    for name in ("generators", "report", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    shutil.copy(ROOT / "CITATION.cff", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "report", "section", "1.2"],
        cwd=tmp_path, env={**os.environ, "POCKET_WEIGHTS": str(tiny_pocket), "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said, index = done.stdout.splitlines()[-2:]
    assert re.match(r"pocket has no page of the report, for it has not drawn 0, 1\.1, 1\.3 and \d+ more; ", said)
    assert Path(index) == tmp_path.resolve() / ".report/pages/pocket/index.html"
    assert Path(index).is_file()
    assert not (tmp_path / "site").exists()
