"""report/report.toml: what a mistake in it is told as, what a change of it makes stale, and where its values appear."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import page_fixture as fixture
import pytest
import yaml
from click.testing import CliRunner

from generators import settings
from generators.records.errors import BuildError, SettingsError
from generators.records.toml import line_of
from generators.running import staleness
from generators.running.definitions import Definitions
from generators.settings import MINE
from report.command import cli
from report.page import citation
from report.page.builder import build

ROOT = Path(__file__).parents[1]
TEXT = settings.FILE.read_text(encoding="utf-8")
SECTIONS = [*staleness.sections()]
ME = '[[authors]]\nfamily-names = "Doe"\ngiven-names = "Jo"'
GROUP = '[[authors]]\nname = "the diffusion-report authors"'


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) >= 1, old
    return TEXT.replace(old, new, 1)


def read(folder: Path, text: str) -> settings.Settings:
    (folder / "report").mkdir(exist_ok=True)
    path = folder / "report" / "report.toml"
    path.write_text(text, encoding="utf-8")
    return settings.read(path)


# --- mistakes

MISTAKES = {  # the text that is replaced, what by, and what is said; the line is that of the text's beginning
    "an unknown key": ("seed = 42", "sed = 42", "sed: there is no such key; correct or remove it"),
    "another type": ("seed = 42", 'seed = "42"', "seed: input should be a valid integer; found '42'"),
    "a number outside": ("seed = 42", "seed = -1", "seed: input should be greater than or equal to 0; found -1"),
    "no TOML": ("seed = 42", "seed = ", "not TOML: Invalid value; see https://toml.io"),
    "an empty title": ('title = "The Power', 'title = " " # "', "title: is empty; write a text, or remove"),
    "no date": ("date = 2026-11-22", 'date = "soon"', "date: input should be a valid date; found 'soon'"),
    "an author of two kinds": (GROUP, f'{ME}\nname = "us"', "authors[0]: an author has family-names"),
    "no author": (GROUP, "[[authors]]", "authors[0]: an author has family-names and given-names, or else a name"),
    "too many steps": ("steps = [50, 100]", "steps = [50, 1001]", "stages.steps[1]: input should be less than or"),
    "the same steps twice": ("steps = [50, 100]", "steps = [50, 50]", "stages.steps: 50 stands there twice; remove"),
    "an empty prompt": ('"a mobius strip"', '""', "stages.prompts[2]: is empty; write a text"),
    "a long prompt": ('"a mobius strip"', f'"{"a " * 200}"', "stages.prompts[2]: the text 'a a a"),
    "no article": ('called = "the fox"', 'called = "my fox"', "images.fox.called: 'my fox' is no name after “the”"),
    "the same name twice": ('called = "the fox"', 'called = "the Campanile"', "images.fox.called: another image is"),
    "a path": ('file = "fox.svg"', 'file = "../fox.svg"', "images.fox.file: '../fox.svg' is not the name of a file"),
    "a hole outside": (
        "hole = { rows = [20, 39]", "hole = { rows = [20, 64]", "images.fox.hole.rows: [20, 64] are not the first and"
    ),
    "a hole upside down": ("hole = { rows = [20, 39]", "hole = { rows = [39, 20]", "images.fox.hole.rows: [39, 20]"),
    "a hole that is all": (
        "hole = { rows = [20, 39], columns = [18, 45] }", "hole = { rows = [0, 63], columns = [0, 63] }",
        "images.fox.hole: the hole is the whole image; make it smaller",
    ),
    "a hole and a mask": ('[images.fox]', '[images.fox]\nmask = "a.png"', "images.fox: it has a hole and a mask"),
    "an unknown image": (
        'images = ["campanile", "fox", "building"]', 'images = ["cat"]',
        "edits.images[0]: there is no [images.cat]; the images are campanile, fox, ",
    ),
    "a large pair": ('large = { name = "mushroom"', 'large = { name = "dog"', "anagrams.large.name: no pair is called"),
    "an address": ('# url = "https://…"', 'url = "example" #', "url: string should match pattern"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_the_number_of_its_line(name, tmp_path):
    old, new, said = MISTAKES[name]
    line = TEXT[: TEXT.index(old)].count("\n") + 1
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, changed(old, new))
    lines = str(caught.value).splitlines()
    assert any(each.startswith(f"report/report.toml:{line}: {said}") for each in lines), lines
    assert max(map(len, lines)) < 400


def test_every_mistake_is_told_and_what_is_missing_at_its_table(tmp_path):
    text = changed('called = "the fox"\n', "").replace("seed = 42", "seed = 4.2").replace(', near = "a skull"', "")
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 3
    line = text[: text.index("[images.fox]")].count("\n") + 1
    assert f"report/report.toml:{line}: images.fox.called: is missing; add it" in str(caught.value)
    with pytest.raises(SettingsError, match=r"^report/report\.toml: the file is missing; restore it with `git"):
        settings.read(tmp_path / "x" / "report" / "report.toml")


def test_the_line_of_a_value_is_found_whatever_stands_around_it():
    text = 'a = """\n[b]\nc = 1\n"""\n\n# c = 2\n[b]\nc = [\n  1,\n  { d = 2 },\n]\n[[e]]\n[[e]]\nf.g = 1\n'
    places = {("a",): 1, ("b",): 7, ("b", "c"): 8, ("b", "c", 1, "d"): 8, ("e", 1): 13, ("e", 1, "f", "g"): 14}
    assert {place: line_of(text, place) for place in places} == places
    assert [line_of(text, place) for place in ((), ("z",), ("b", "z"), ("e", 1, "z"))] == [1, 1, 7, 13]


def test_a_verb_tells_a_mistake_in_one_line(tmp_path):
    for name in ("generators", "report"):
        ignored = shutil.ignore_patterns("weights", "__pycache__", "making")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    read(tmp_path, TEXT)
    (tmp_path / "report" / "report.toml").write_text(changed("seed = 42", "seed = 4.2"), "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for verb in (["status"], ["section", "1.1"], ["site"], ["sample", "a dog"], ["sample", "--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "report", *verb], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 1, verb
        assert done.stderr.startswith("report: report/report.toml:6: seed: input should be a valid integer"), verb
        assert len(done.stderr.splitlines()) == 1


# --- what becomes stale


def stale(folder: Path, text: str) -> set[str]:
    """The sections that a report.toml of this text makes stale."""
    mine = {"before": MINE, "after": read(folder, text)}
    found = []
    for one in mine.values():
        definitions = Definitions(staleness.HOME, {"generators.settings.MINE": one})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(staleness, "_definitions", lambda known=definitions: known)
            found.append({section: staleness.source_digest(section, "pocket") for section in SECTIONS})
    return {section for section in SECTIONS if found[0][section] != found[1][section]}


MUSHROOM = 'upright = "a coffee", flipped = "a mushroom"'
CHANGES = {
    "nothing": ("seed = 42", "seed   =   42  # mine", set()),
    "the author": (GROUP, ME, set()),
    "the title": ("The Power of", "My", set()),
    "the course": ("CS180", "CS280A", set()),
    "the date": ("2026-11-22", "2026-12-01", set()),
    "an address": ('# url = "https://…"', 'url = "https://example.org" #', set()),
    "a credit": ('credit = "drawn for this report"', 'credit = "drawn by me"', set()),
    "what an image is called": ('called = "the fox"', 'called = "the vixen"', set()),
    "what images are": ("two felt-pen drawings", "two scans", set()),
    "the name of a file, whose contents count": ('file = "fox.svg"', 'file = "vixen.jpg"', set()),
    "the seed": ("seed = 42", "seed = 180", set(SECTIONS)),
    "a prompt of part 0": ("a mobius strip", "a corgi on a skateboard", {"0"}),
    "its numbers of steps": ("steps = [50, 100]", "steps = [20, 100]", {"0"}),
    "the images of 1.7": ('images = ["campanile", "fox", "building"]', 'images = ["campanile", "fox"]', {"1.7"}),
    "those of 1.7.1": ('images = ["pagoda", ', "images = [", {"1.7.1"}),
    "a hole": ("hole = { rows = [20, 39]", "hole = { rows = [21, 39]", {"1.7.2"}),
    "a mask in place of a hole": ("hole = { rows = [20, 39], columns = [18, 45] }", 'mask = "fox.png"', {"1.7.2"}),
    "a pair of 1.7.3": ('prompt = "a pencil", image = "building"', 'prompt = "a pencil", image = "fox"', {"1.7.3"}),
    "a pair of 1.8": (MUSHROOM, MUSHROOM.replace("coffee", "tulip"), {"1.8"}),
    "the large one of 1.8": ('name = "mushroom", sample = 0', 'name = "mushroom", sample = 1', {"1.8"}),
    "a pair of 1.9": ('near = "a lithograph of waterfalls"', 'near = "a lithograph of a zebra"', {"1.9"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_makes_stale_what_uses_the_value_and_nothing_else(name, tmp_path):
    old, new, expected = CHANGES[name]
    assert stale(tmp_path, changed(old, new)) == expected


# --- where the values appear


def in_a_copy(folder: Path, text: str, code: str) -> str:
    """The output of code in a copy of the generators with this report.toml."""
    ignored = shutil.ignore_patterns("weights", "__pycache__", "making", "*.svg", "*.md")
    shutil.copytree(ROOT / "generators", folder / "generators", ignore=ignored)
    shutil.copytree(ROOT / "report", folder / "report", ignore=ignored)
    read(folder, text)
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


DECLARED = """
from generators.running import run, staleness
for section_id in staleness.sections():
    for figure in run.load_section(section_id).figures:
        print(section_id, figure.caption_text())
        for case in figure.cases:
            found = dict.fromkeys(figure.finds, 0)
            print(section_id, figure.row_of(case), figure.label_of(case, found), figure.alt_of(case, found), sep=" | ")
from generators.lab import SEED, Lab
from generators.models import pocket
print("seed", SEED)
from click.testing import CliRunner
from report.command import cli
print(CliRunner().invoke(cli.main, ["sample", "--help"]).output)
"""
PUBLIC = {  # the settings of three write-ups: seed, numbers of steps, prompts
    48: (
        [20, 50, 100],
        [
            "a high quality photo of a corgi riding a skateboard in downtown Tokyo at night",
            "a hyper-realistic portrait of an astronaut discovering an alien flower",
            "a watercolor painting of the UC Berkeley campanile during golden hour",
        ],
    ),
    67: ([10, 1000], ["an oil painting of a capybara {in a bath}", "a photo of my “cat”", "a rocket ship"]),
    180: ([20, 100], ["a photo of a hipster barista", "a man wearing a hat", "a rocket ship"]),
}


@pytest.mark.parametrize("seed", PUBLIC)
def test_captions_alt_texts_and_help_follow(seed, tmp_path):
    steps, prompts = PUBLIC[seed]
    text = changed("seed = 42", f"seed = {seed}").replace("steps = [50, 100]", f"steps = {steps}")
    text = re.sub(r"(?m)^prompts = .*", f"prompts = {prompts!r}".replace("'", '"'), text, count=1)
    text = text.replace("the Campanile", "the Doe Library").replace("[images.fox]", "[images.bear]")
    text = text.replace('"fox"', '"bear"').replace("the fox", "the bear").replace("three images", "three scans")
    said = in_a_copy(tmp_path, text, DECLARED)
    for word in ("seed 42", "from 42", "Campanile", "fox", "three images", "android"):
        assert word not in said, word
    assert f"0 Each prompt, sampled in {' and in '.join(map(str, steps))} steps, as it leaves" in said
    for prompt in prompts:
        assert f"A sample of the prompt “{prompt}” after {steps[-1]} steps, at 64 by 64 pixels" in said
    assert "1.1 The Doe Library at increasing noise levels, and without noise." in said
    assert "1.7 SDEdit of three scans, guided by “a high quality photo”." in said
    assert "1.7.2 | bear | mask | The mask of the bear: white where new content goes" in said
    assert f"seed {seed}" in said
    assert f"with seeds from {seed}" in said


@pytest.fixture
def root(tmp_path):
    root = fixture.folder(tmp_path / "report")
    fixture.section(root, "1.2", {"blur": fixture.blurred()})
    fixture.prose(root, "part_1_2", "/// fig | 1.2-blur\n///\n")
    return root


def test_the_page_says_whose_it_is_and_cites_the_software_apart(root):
    text = changed(GROUP, ME).replace("The Power of Diffusion Models", "Noise & <I>").replace("CS180", "CS280A")
    text = text.replace("2026-11-22", "2026-12-01").replace('# url = "https://…"', 'url = "https://example.org/a" #')
    (root / "report" / "report.toml").write_text(text, "utf-8")
    page = build(root).read_text()
    assert "<title>Noise &amp; &lt;I&gt;</title>" in page
    assert '<p class="kicker">Berkeley CS280A · Project 5A</p>' in page
    assert 'Jo Doe · <time datetime="2026-12-01">1 December 2026</time>' in page
    assert "@misc{noise-i," in page
    assert "author  = {Doe, Jo}" in page
    assert "@software{diffusion-report," in page
    assert "author  = {{the diffusion-report authors}}" in page
    assert '<link rel="canonical" href="https://example.org/a/">' in page
    assert "CS180" not in page


def test_the_citation_file_gets_the_reports_block_and_keeps_the_softwares(root, tmp_path):
    path = root / "CITATION.cff"
    before = path.read_text()
    mine = read(tmp_path, changed(GROUP, ME))
    citation.update(root, mine)
    found = yaml.safe_load(path.read_text())
    assert found["authors"] == [{"name": "the diffusion-report authors"}]
    assert found["preferred-citation"]["authors"] == [{"given-names": "Jo", "family-names": "Doe"}]
    assert found["preferred-citation"]["date-published"] == datetime.date(2026, 11, 22)
    assert citation.outdated(root, mine) is None
    citation.update(root, MINE)
    assert path.read_text() == before


def test_the_shipped_citation_file_is_todays():
    assert citation.outdated(ROOT, MINE) is None, "run `report site`"


def test_prose_inserts_values_by_their_names(root):
    words = "Seed @val:report.seed, @val:report.stages.steps steps, @val:report.images.sketch-boat.called. "
    fixture.prose(root, "part_1_2", f"{words}\n\n/// fig | 1.2-blur\n///\n")
    text = re.sub("<[^>]+>", "", build(root).read_text())
    assert "Seed 42, 50, 100 steps, the sketch-boat." in text
    for name, told in {
        "report.sed": "no sed in report/report.toml; it has title, course, date, seed",
        "report.images.cat.called": "no images.cat in report/report.toml; it has campanile, fox",
        "report.images.fox": "images.fox is no single value; choose one of its keys: file, called",
    }.items():
        fixture.prose(root, "part_1_2", f"@val:{name}\n\n/// fig | 1.2-blur\n///\n")
        with pytest.raises(BuildError) as caught:
            build(root)
        assert str(caught.value).startswith(f"report/writeup/part_1_2.md:1: @val:{name}: {told}")


def test_the_footer_credits_the_images_that_are_shown(root):
    (panel, *rest) = fixture.blurred(inputs=["pagoda"])
    fixture.section(root, "1.2", {"blur": [panel, *rest]})
    page = build(root).read_text()
    assert re.search(
        r'<dt>Input images</dt><dd>the pagoda: <a href="https://www\.flickr\.com/[^"]+">photograph by d', page
    )
    assert "the fox: drawn" not in page


def test_the_help_names_the_seed():
    assert f"with seeds from {MINE.seed}" in " ".join(CliRunner().invoke(cli.main, ["sample", "--help"]).output.split())
