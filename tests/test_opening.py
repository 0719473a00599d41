"""What the page opens with, what a judge says in its captions, and the pages beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import page_fixture as fixture
import pytest
from page_fixture import panel, prose, section

from report.figures import figure_png
from report.page import links
from report.page.builder import BuildError, build

FLIP = "/// fig | 1.8-turning | flip: one, other\n///\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A report of one anagram figure with two samples."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    fixture.folder(tmp_path)
    panels = fixture.two_ways("upright", "flipped")
    for number, each in enumerate(panels):
        each["case"] = {**each["case"], "k": number % 2}
    section(tmp_path, "1.8", {"turning": panels})
    prose(tmp_path, "part_1_8", FLIP)
    return tmp_path


def judged(root: Path, *ranks: tuple[int, int], weights: str = "ab" * 32, model: str = "pocket") -> Path:
    """Writes what a judge found: for each sample, the ranks of the readings."""
    pair = {"figure": "1.8-turning", "prompts": ["an old man", "a campfire"], "shows": ["one", "other"]}
    samples = [{**pair, "k": k, "ranks": list(found)} for k, found in enumerate(ranks)]
    path = root / "generators" / model / "illusions.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"model": {"digest": weights}, "samples": samples}))
    return path


def came(page: str) -> str:
    found = re.findall(r'<p class="came">(.*?)</p>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", "", "".join(found)).split())


# --- the judge


@pytest.mark.parametrize(
    ("ranks", "text"),
    [
        (((1, 1), (1, 1)), "both readings in 2 samples (ranked 1 and 1; 1 and 1)."),
        (
            ((1, 4), (2, 1)),
            "only “an old man” in 1 sample (ranked 1 and 4); only “a campfire” in 1 sample (ranked 2 and 1).",
        ),
        (((3, 4), (5, 6)), "neither reading in 2 samples (ranked 3 and 4; 5 and 6)."),
    ],
)
def test_a_caption_says_what_came_of_what_was_asked(root, ranks, text):
    judged(root, *ranks)
    page = build(root).read_text()
    assert came(page) == f"What came, says the judge: {text}"
    said = re.findall(r'alt="[^"]*the judge ranks this reading number (\d)"', page)
    assert said == [str(rank) for reading in zip(*ranks, strict=True) for rank in reading]  # of each panel, its own


def test_of_other_weights_other_samples_and_other_models_nothing_is_said(root):
    judged(root, (1, 1), (1, 1), weights="cd" * 32)
    assert came(build(root).read_text()) == ""
    judged(root, (1, 1))  # of one sample only
    assert came(build(root).read_text()) == ""
    judged(root, (1, 1), (1, 1), model="another").parent.joinpath("../pocket/illusions.json").unlink()
    assert came(build(root).read_text()) == ""


def test_what_the_judge_did_not_see_is_not_judged(root):
    judged(root, (1, 1), (1, 1))
    panels = [
        {**each, "image": each["image"].resize((256, 256), 0), "case": {**each["case"], "k": number % 2}}
        for number, each in enumerate(fixture.two_ways("upright", "flipped"))
    ]
    section(root, "1.8", {"turning": panels})
    assert came(build(root).read_text()) == ""


@pytest.mark.parametrize("text", ["{", "[]", '{"model": {"digest": "%s"}}' % ("ab" * 32)])
def test_a_damaged_evaluation_is_one_line(root, text):
    judged(root, (1, 1), (1, 1)).write_text(text)
    with pytest.raises(
        BuildError, match=r"^generators/pocket/illusions\.json: not a valid judgement .*make evaluate`$"
    ):
        build(root)


# --- the opening


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1.8-turning[row=upright,label=sample 7]", "selects 0 panels; choose one in [ ]"),
        ("1.8-turning", "selects 4 panels"),
        ("1.8-nothing", "there is no figure 1.8-nothing"),
        ("the best one", "'the best one' selects no panel"),
        (
            "1.8-turning[row=upright,label=sample 0] | slide",
            "`slide` needs its whole figure; possible here: flip, rotate, invert, rearrange, distance",
        ),
        ("1.8-turning[row=flipped,label=sample 0] | flip: one, other", "is not in the first row"),
        ("1.8-turning[row=upright,label=sample 0] | flip: one, far", "no field 'far'"),
    ],
)
def test_what_is_wrong_with_the_opening_has_its_line(root, line, told):
    prose(root, "intro", f"Words.\n\n/// lead\n\n{line}\n///\n")
    with pytest.raises(BuildError) as caught:
        build(root)
    assert str(caught.value).startswith("report/writeup/intro.md:5: ")
    assert told in str(caught.value)


def test_a_thumbnail_is_of_a_section_that_is_there(root):
    prose(root, "intro", "/// contents\n1.9 | 1.8-turning[row=upright,label=sample 0]\n///\n")
    with pytest.raises(BuildError, match=r"^report/writeup/intro\.md:2: there is no section '1\.9' on the page"):
        build(root)


def test_a_page_without_an_opening_is_a_page(root):
    page = build(root).read_text()
    assert 'class="exhibits"' not in page
    assert "og:image" not in page


# --- figures


def test_a_row_of_one_picture_shows_it_once(root):
    noisy = [panel(f"t = {t}", t, row="noisy") for t in (250, 500)]
    section(root, "1.3", {"one": [*(panel(f"t = {t}", 9, row="original") for t in (250, 500)), *noisy]})
    page = build(root).read_text()
    figure = page[page.index('id="fig-1_3-one"') : page.index('id="sec-1_8"')]
    assert figure.count('class="full"') == 3
    assert figure.index("single-1_3-one-1") < figure.index("<table")


def test_two_stages_that_visit_the_same_timesteps_are_told_apart(root):
    section(root, "0", {"one": [panel("a", later_timesteps=[500, 125, 0, 500, 125])]})
    assert "500, 125, 0; then 500, 125" in build(root).read_text()


# --- the pages beside it


def test_the_page_leads_to_its_code_its_records_and_its_card(root):
    card = root / "generators" / "pocket" / "MODEL_CARD.md"
    card.parent.mkdir(exist_ok=True)
    card.write_text("# pocket\n\n<!-- made -->\n\n![Samples](sheet.webp)\n\n## The judge\n\n| a |\n|--:|\n| <b> |\n")
    fixture.picture().save(card.with_name("sheet.webp"))
    (root / "generators/sections/part_1_8.py").write_text('x = "<b>"\n')
    site = build(root).parent
    page = (site / "index.html").read_text()
    for address in ("code.html", "model-card.html", "#records", "#cite", "records/1.8.json"):
        assert f'href="{address}"' in page
    code = (site / "code.html").read_text()
    assert 'id="generators-sections-part_1_8-1"' in code
    assert "&lt;b&gt;" in code
    read = (site / "model-card.html").read_text()
    assert 'id="the-judge"' in read
    assert "&lt;b&gt;" in read
    assert " style=" not in read
    assert (site / "sheet.webp").is_file()
    for name in ("code.html", "model-card.html"):
        assert links.broken((site / name).read_text(), site) == []
    card.with_name("sheet.webp").unlink()
    with pytest.raises(BuildError, match=r"MODEL_CARD\.md: sheet\.webp: the card shows it, but it does not exist"):
        build(root)


def test_a_repository_takes_the_place_of_the_code_page_in_the_header(root):
    path = root / "CITATION.cff"
    path.write_text(path.read_text() + "repository-code: https://example.org/code\n")
    assert '<a href="https://example.org/code">Code</a>' in build(root).read_text()
    path.write_text(path.read_text().replace("2026-11-22", "soon"))
    with pytest.raises(BuildError, match=r"^CITATION\.cff: date-released: 'soon' is not a date"):
        build(root)
