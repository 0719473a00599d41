"""What the prose asks in vain is told before the first section is drawn, as far as the declarations tell."""

from __future__ import annotations

import shutil
from pathlib import Path

import page_fixture as fixture
import pytest
from click.testing import CliRunner

from generators import models
from generators.figures import Figure, Section, each
from generators.records.errors import BuildError
from generators.running import run, staleness
from report.command import cli
from report.publishing import expectations
from report.publishing.expectations import check

SECTIONS = list(staleness.sections())
DOGS = ("a dog, running", "a dog, asleep")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The report's own prose in a copy, and nothing drawn; whoever asks for a model fails."""
    root = tmp_path / "report"
    root.mkdir()
    for name in ("templates", "CITATION.cff"):
        (root / name).symlink_to(fixture.REPO / name)
    shutil.copytree(fixture.REPO / "generators", root / "generators", ignore=shutil.ignore_patterns("weights", "__py*"))
    shutil.copytree(fixture.REPO / "report" / "writeup", root / "report" / "writeup")
    shutil.copy(fixture.REPO / "report" / "report.toml", root / "report")
    monkeypatch.setattr(models, "load", lambda name: pytest.fail("a model was loaded"))
    return root


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / "report" / "writeup" / f"{name}.md"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def told(root: Path, model: str = "pocket", to_draw: list[str] = SECTIONS) -> list[str]:
    with pytest.raises(BuildError) as caught:
        check(root, model, to_draw)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("model", models.NAMES)
def test_the_reports_own_prose_asks_nothing_in_vain(root, model):
    check(root, model, SECTIONS)


MISTAKES = {
    "a figure": (
        "part_1_2",
        "/// fig | 1.2-blur",
        "/// fig | 1.2-blurr",
        "unknown figure '1.2-blurr'; section 1.2 has: 1",
    ),
    "a figure of another section": (
        "part_1_2",
        "/// fig | 1.2-b",
        "/// fig | 1.22-b",
        "unknown figure '1.22-blur'; no s",
    ),
    "a control": (
        "part_1_8",
        " | flip: upright",
        " | flop: upright",
        "unknown control 'flop'; known: slide, wipe, flip",
    ),
    "a reading": ("part_1_8", " | flip: upright", " | flip: upward", "no field 'upward'; the cases of 1.8-"),
    "a value below a figure": (
        "part_1_2",
        "values: psnr",
        "values: pnsr",
        "found 'pnsr'; fou",
    ),
    "a reference": (
        "part_1_6",
        "@fig:1.5-samples",
        "@fig:1.5-sample",
        "there is no figure 1.5-sample; section 1.5 has: 1",
    ),
    "a section": (
        "part_1_6",
        "@sec:1.4",
        "@sec:1.44",
        "@sec:1.44: there is no section 1.44 on the page; it has 0, 1.1",
    ),
    "a value's case": (
        "part_0",
        "@val:0-stages[pixels=64",
        "@val:0-stages[pixels=65",
        "has pixels=65; pixels is 64, 256",
    ),
    "a value's field": ("part_1_2", "[t=250,show=best blur].sigma", "[u=250].sigma", "no field 'u'; the panel has: "),
    "a value's name": (
        "part_1_2",
        "[t=250,show=best blur].sigma",
        "[t=250].sgima",
        "no field 'sgima'; the panel has: ",
    ),
    "a value of several": (
        "part_1_2",
        "[t=250,show=best blur].sigma",
        ".t",
        "with different values; choose one in [ ]: show = noisy, best blur; t = 250, 500, 750",
    ),
    "a value of a section": (
        "part_1_2",
        "@val:1.2-blur[t=250,show=best blur].sigma",
        "@val:1.2.second",
        "a drawn section",
    ),
    "a lead": (
        "intro",
        "/// lead\n0-stages[prompt=an android",
        "/// lead\n0-stages[promt=an android",
        "no field 'promt'",
    ),
    "a lead of several": (
        "intro",
        "9-large[show=near,pixels=256]",
        "9-large[show=near]",
        "selects 2 panels; choose one in [ ]: ",
    ),
    "a thumbnail": (
        "intro",
        "1.1 | 1.1-noisy[t=500]",
        "1.1 | 1.1-noisy[u=500]",
        "no field 'u'; the panel has: ",
    ),
    "a thumbnail's section": (
        "intro",
        "1.1 | 1.1-n",
        "1.11 | 1.1-n",
        "there is no section '1.11' on the page, which has 0, ",
    ),
    "a logo": (
        "intro",
        "/// logo\n1.8-large",
        "/// logo\n1.8-larger",
        "there is no figure 1.8-larger; section 1.8 has: ",
    ),
    "a logo's control": (
        "intro",
        "256] | flip: upright, flipped",
        "256] | slide",
        "`slide` needs a figure of one row; 1.8-large has 2",
    ),
    "a model": (
        "part_1_2",
        "/// fig",
        "/// only | pokcet\n///\n\n/// fig",
        "unknown model 'pokcet'; known: pocket, deepfloyd",
    ),
    "a directive": ("part_1_2", "/// fig", "/// figg", "unknown directive 'figg'; the directives are: fig, code, "),
    "a form": (
        "part_1_2",
        "| wipe: noisy",
        "| loupe | wipe: noisy",
        "a figure has one control, one `values: …` and one `columns: …`",
    ),
    "two controls": (
        "part_1_2",
        "| values: psnr, ssim",
        "| loupe",
        "a figure has one control, one `values: …` and one",
    ),
    "code": (
        "part_1_2",
        "/// fig",
        "/// code | generators/lab.py::Laboratory\n///\n\n/// fig",
        "unknown code target 'gener",
    ),
    "a link to a figure": (
        "part_1_2",
        "/// fig",
        "See [there](#fig-1_2-blurr).\n\n/// fig",
        "#fig-1_2-blurr leads nowhere; the nearest are #fig-1_2-blur",
    ),
    "a link to a section": (
        "part_1_2",
        "/// fig",
        "See [there](#sec-1.3).\n\n/// fig",
        "#sec-1.3 leads nowhere; the nearest are #sec-1_3",
    ),
    "a formula": ("part_1_2", "/// fig", "$\\foo$\n\n/// fig", 'bad TeX in $\\foo$: Unknown command "\\foo".'),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(root, name):
    file, old, new, message = MISTAKES[name]
    edit(root, file, old, new)
    text = (root / "report" / "writeup" / f"{file}.md").read_text()
    first = text[: text.index(new)].count("\n") + 1
    (line,) = told(root)
    place, number, said = line.split(":", 2)
    assert place == f"report/writeup/{file}.md"
    assert first <= int(number) <= first + new.count("\n")
    assert message in said


def test_prose_of_no_section_and_a_figure_that_is_placed_nowhere(root):
    fixture.prose(root, "part_9_9", "Text.\n")
    fixture.prose(root, "part_1_1", "Text.\n")
    lines = told(root)
    assert any(line.startswith("report/writeup/part_9_9.md: no module declares a section 9.9") for line in lines)
    assert "report/writeup/part_1_1.md: figure 1.1-noisy is never placed" in "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        "@val:1.2-blur.sigma @val:1.2-blur[t=250].psnr @val:1.2-blur[psnr=20].t @val:1.2-blur[seeds=42].gamma",
        "@val:1.2.seconds @val:1.2-blur[t=250].evaluations @val:1.2-blur[width=64].psnr",
    ],
)
def test_what_only_drawing_tells_passes(root, text):
    path = root / "report" / "writeup" / "part_1_2.md"
    path.write_text(f"{path.read_text()}\n{text}\n")
    check(root, "pocket", SECTIONS)


def test_what_is_known_counts_beside_what_only_drawing_tells(root):
    path = root / "report" / "writeup" / "part_1_2.md"
    path.write_text(f"{path.read_text()}\n@val:1.2-blur[psnr=20,t=251].t @val:1.2-blur[seeds=42,u=1].t\n")
    first, second = told(root)
    assert "no panel of 1.2-blur has psnr=20,t=251; the fields are " in first
    assert "no field 'u'" in second


@pytest.fixture
def dogs(root, monkeypatch):
    """A report of one section, 1.8, whose prompts have commas and whose labels are found by drawing."""
    shutil.rmtree(root / "report" / "writeup")
    (root / "report" / "writeup").mkdir()
    found = Figure("found", "Found.", "{score:.1f}", "{prompt}", each(prompt=DOGS), print, finds=("score",))
    plain = Figure("plain", "Plain.", "{prompt}", "{prompt}", each(prompt=DOGS), print)
    section = Section("1.8", "Dogs", [found, plain])
    monkeypatch.setattr(staleness, "sections", lambda: {"1.8": fixture.REPO / "generators/sections/part_1_8.py"})
    monkeypatch.setattr(expectations, "load_section", lambda section_id: section)
    return root


PLACED = "/// fig | 1.8-found | slide\n///\n/// fig | 1.8-plain | wipe: {}\n///\n"


def test_prompts_with_commas_are_offered_in_quotes(dogs):
    text = '@val:1.8-plain[prompt="{}"].prompt\n'
    fixture.prose(dogs, "part_1_8", PLACED.format('"a dog, asleep", "a dog, running"') + text.format(DOGS[0]))
    check(dogs, "pocket", ["1.8"])
    fixture.prose(
        dogs, "part_1_8", PLACED.format("a dog, a cat") + text.format("a cat, asleep") + "\n@val:1.8-plain.prompt\n"
    )
    assert sorted(told(dogs, to_draw=["1.8"])) == [
        "report/writeup/part_1_8.md:3: `wipe` takes two rows or two columns of 1.8-plain, which are: "
        "a dog, running, a dog, asleep",
        'report/writeup/part_1_8.md:5: @val:1.8-plain[prompt="a cat, asleep"].prompt: no panel of 1.8-plain has '
        'prompt="a cat, asleep"; prompt is "a dog, running" or "a dog, asleep"',
        "report/writeup/part_1_8.md:7: @val:1.8-plain.prompt: 2 panels with different values; choose one in [ ]: "
        'prompt = "a dog, running", "a dog, asleep"',
    ]


def test_sections_that_are_not_drawn_now_count_as_they_were_drawn(root):
    """Their page is built from their records, whatever they declare today."""
    fixture.section(root, "1.2", {"older": fixture.blurred()})
    edit(root, "part_1_2", "/// fig | 1.2-blur", "/// fig | 1.2-older")
    assert any("unknown figure '1.2-older'" in line for line in told(root))
    lines = told(root, to_draw=["1.5"])
    assert not any("unknown figure" in line for line in lines)
    assert any("there is no figure 1.2-blur; section 1.2 has: 1.2-older" in line for line in lines)


@pytest.mark.parametrize("verb", [["all"], ["section", "1.5"], ["section", "1.5", "--again", "--workers", "2"]])
def test_nothing_is_drawn_for_a_page_that_cannot_be_built(root, monkeypatch, tiny_pocket, verb):
    monkeypatch.setattr(cli, "ROOT", root)
    monkeypatch.setattr(run, "draw_section", lambda *_: pytest.fail("a section was drawn"))
    edit(root, "part_1_2", "/// fig | 1.2-blur", "/// fig | 1.2-blurr")
    done = CliRunner().invoke(cli.main, verb)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("report: report/writeup/part_1_2.md:")
    assert line.endswith("unknown figure '1.2-blurr'; section 1.2 has: 1.2-blur")
    assert not list(root.glob(".report/pocket/*/record.json"))
