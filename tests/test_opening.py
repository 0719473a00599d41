"""What the page opens with, what a judge says in its captions, and the pages beside it."""

from __future__ import annotations

import json
import math
import re
import shutil
from itertools import product
from pathlib import Path

import page_fixture as fixture
import pytest
from page_fixture import panel, prose, section
from PIL import Image, ImageChops, ImageColor, ImageOps, ImageStat

from generators.records.errors import BuildError
from report.figures import figure_png
from report.page import budget, links
from report.page.builder import build
from report.page.logo import PAPER
from report.page.social_card import LOGO, LOGO_TOP

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
    """Writes what classifiers found: each sample's ranks by the first; the second sees all readings of sample 0."""
    pair = {"figure": "1.8-turning", "prompts": ["an old man", "a campfire"], "shows": ["one", "other"]}
    samples = [{**pair, "k": k, "ranks": list(found), "second": [1, 1 + k]} for k, found in enumerate(ranks)]
    path = root / "generators" / "models" / model / "illusions.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"model": {"digest": weights}, "samples": samples}))
    return path


def verdicts(page: str) -> str:
    found = re.findall(r'<p class="verdicts">(.*?)</p>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", "", "".join(found)).split())


# --- the judge


@pytest.mark.parametrize(
    ("ranks", "text"),
    [
        (((1, 1), (1, 1)), "both prompts first of 20 in 2 of 2; a second one: in 1 of 2."),
        (
            ((1, 4), (1, 1)),
            "both prompts first of 20 in 1 of 2 (“an old man” in 2, “a campfire” in 1); a second one: in 1 of 2.",
        ),
        (
            ((3, 4), (5, 6)),
            "both prompts first of 20 in 0 of 2 (“an old man” in 0, “a campfire” in 0); a second one: in 1 of 2.",
        ),
    ],
)
def test_a_caption_says_what_came_of_what_was_asked(root, ranks, text):
    judged(root, *ranks)
    page = build(root).read_text()
    assert verdicts(page) == f"Classifier (trained on drawings like these): {text}"
    said = re.findall(r'alt="[^"]*the classifier ranks this prompt number (\d)"', page)
    assert said == [str(rank) for sample in ranks for rank in sample]  # of each panel, its own


def test_of_other_weights_other_samples_and_other_models_nothing_is_said(root):
    judged(root, (1, 1), (1, 1), weights="cd" * 32)
    assert verdicts(build(root).read_text()) == ""
    judged(root, (1, 1))  # of one sample only
    assert verdicts(build(root).read_text()) == ""
    judged(root, (1, 1), (1, 1), model="another").parent.joinpath("../pocket/illusions.json").unlink()
    assert verdicts(build(root).read_text()) == ""


def test_what_the_judge_did_not_see_is_not_judged(root):
    judged(root, (1, 1), (1, 1))
    panels = [
        {**each, "image": each["image"].resize((256, 256), 0), "case": {**each["case"], "k": number % 2}}
        for number, each in enumerate(fixture.two_ways("upright", "flipped"))
    ]
    section(root, "1.8", {"turning": panels})
    assert verdicts(build(root).read_text()) == ""


@pytest.mark.parametrize("text", ["{", "[]", '{"model": {"digest": "%s"}}' % ("ab" * 32)])
def test_a_damaged_evaluation_is_one_line(root, text):
    judged(root, (1, 1), (1, 1)).write_text(text)
    with pytest.raises(
        BuildError, match=r"^generators/models/pocket/illusions\.json: not a valid judgement .*make evaluate`$"
    ):
        build(root)


# --- the opening


@pytest.mark.parametrize("kind", ["lead", "logo"])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1.8-turning", "selects 4 panels; choose one in [ ]: k = 0, 1; show = one, other"),
        ("1.8-nothing", "there is no figure 1.8-nothing"),
        ("the best one", "'the best one' selects no panel"),
        (
            "1.8-turning[row=upright,label=sample 0] | wipe: upright, flipped",
            "`wipe` needs its whole figure; possible here: flip, rotate, invert, rearrange, distance",
        ),
        ("1.8-turning[row=flipped,label=sample 0] | flip: one, other", "is not in the first row"),
        ("1.8-turning[row=upright,label=sample 0] | flip: one, far", "no field 'far'"),
    ],
)
def test_what_is_wrong_with_the_opening_has_its_line(root, kind, line, told):
    prose(root, "intro", f"Words.\n\n/// {kind}\n\n{line}\n///\n")
    with pytest.raises(BuildError) as caught:
        build(root)
    assert str(caught.value).startswith("report/writeup/intro.md:5: ")
    assert told in str(caught.value)


@pytest.mark.parametrize("kind", ["lead", "logo"])
def test_a_picture_whose_prompt_is_gone_gives_way_to_the_nearest(root, kind):
    told = []
    prose(root, "intro", f"Words.\n\n/// {kind}\n1.8-turning[row=upright,label=sample 7] | flip: one, other\n///\n")
    page = build(root, tell=told.append).read_text()
    assert ('class="exhibits"' in page, 'class="emblem"' in page) == (kind == "lead", kind == "logo")
    assert told == [
        "report/writeup/intro.md:4: no panel of 1.8-turning has label=sample 7; label is sample 0 or sample 1; "
        "“upright · sample 0” is shown instead"
    ]


def test_a_thumbnail_is_of_a_section_that_is_there(root):
    prose(root, "intro", "/// contents\n1.9 | 1.8-turning[row=upright,label=sample 0]\n///\n")
    with pytest.raises(BuildError, match=r"^report/writeup/intro\.md:2: there is no section '1\.9' on the page"):
        build(root)


def test_a_page_without_an_opening_is_a_page(root):
    page = build(root).read_text()
    assert 'class="exhibits"' not in page
    assert "og:image" not in page


# --- the logo

TURNING = "1.8-turning[row=upright,label=sample 0]"
PAGES = ("index.html", "code.html")


def headers(site: Path) -> list[str]:
    """The header of the page, and of the page with the code."""
    return [(site / name).read_text().partition("<header")[2].partition("</header>")[0] for name in PAGES]


def icons(site: Path) -> list[tuple[str, str]]:
    """(rel, href) of the icons of the page; those of the page with the code must be the same."""
    found = [re.findall(r'<link rel="([\w-]*icon)" href="([^"]+)"', (site / name).read_text()) for name in PAGES]
    assert found[0] == found[1]
    return found[0]


def enlarged(root: Path, size: int, view=ImageOps.flip) -> Image.Image:
    """Draws the anagram again at another size, seen through a view. Returns its first panel."""
    panels = fixture.two_ways("upright", "flipped")
    first = panels[0]["image"].resize((size, size), Image.Resampling.BICUBIC)
    for each in panels:
        each["image"] = first if each["row"] == "upright" else view(first)
    section(root, "1.8", {"turning": panels})
    return first


@pytest.mark.parametrize("size", [64, 256])
def test_the_icons_are_the_logos_picture_as_a_disc(root, size):
    panel = enlarged(root, size)
    prose(root, "intro", f"/// logo\n{TURNING} | flip: one, other\n///\n")
    site = build(root).parent
    (small, icon), (large, touch) = icons(site)
    assert (small, large) == ("icon", "apple-touch-icon")
    found, reduced = Image.open(site / icon), panel.resize((32, 32), Image.Resampling.LANCZOS)
    assert (found.mode, found.size) == ("RGBA", (32, 32))
    for x, y in product(range(32), repeat=2):
        away = math.hypot(x - 15.5, y - 15.5)
        if away < 15:
            assert found.getpixel((x, y)) == (*reduced.getpixel((x, y)), 255)
        elif away > 17:
            assert found.getpixel((x, y)) == (0, 0, 0, 0)
    on_phone = Image.open(site / touch).convert("RGB")
    assert on_phone.size == (180, 180)
    assert on_phone.getpixel((0, 0)) == ImageColor.getrgb(PAPER)
    middle = (60, 60, 120, 120)
    wanted = panel.resize((156, 156), Image.Resampling.LANCZOS).crop([at - 12 for at in middle])
    assert max(ImageStat.Stat(ImageChops.difference(on_phone.crop(middle), wanted)).mean) < 12  # of 256 colours


def test_the_icons_are_the_same_bytes_when_made_again(root):
    prose(root, "intro", f"/// logo\n{TURNING}\n///\n")
    site = build(root).parent
    before = [(site / path).read_bytes() for _, path in icons(site)]
    shutil.rmtree(root / ".report" / "web")
    shutil.rmtree(site)
    build(root)
    assert [(site / path).read_bytes() for _, path in icons(site)] == before


@pytest.mark.parametrize(
    ("wish", "view", "classes", "faces"),
    [
        ("", ImageOps.flip, "logo", 1),
        (" | flip: one, other", ImageOps.flip, "logo flip turn", 1),
        (" | rotate: one, other", lambda image: image.rotate(180), "logo rotate turn by-180", 1),
        (" | distance: one, other", lambda image: image, "logo distance", 1),
        (" | invert: one, other", ImageOps.invert, "logo invert turn", 2),
        (" | rearrange: one, other", ImageOps.mirror, "logo rearrange turn", 2),
    ],
)
def test_the_headers_show_the_logo_and_what_its_view_needs(root, wish, view, classes, faces):
    enlarged(root, 256, view)
    prose(root, "part_1_8", "/// fig | 1.8-turning\n///\n")
    prose(root, "intro", f"/// logo\n{TURNING}{wish}\n///\n")
    site = build(root).parent
    for header in headers(site):
        assert re.findall(r'<span class="(logo[^"]*)">', header) == [classes]
        assert len(re.findall(r'<source type="image/avif" srcset="figures/logo-\w+\.avif"', header)) == faces
        assert re.findall(r'alt="([^"]*)"', header) == [""] * faces  # its figure describes it
    assert '<a class="emblem" href="#fig-1_8-turning" aria-label="The logo: figure 1">' in headers(site)[0]


def test_a_page_has_one_logo(root):
    prose(root, "intro", f"/// logo\n{TURNING}\n{TURNING}\n///\n")
    with pytest.raises(BuildError, match=r"^report/writeup/intro\.md:3: a second logo; the page has one"):
        build(root)


@pytest.mark.parametrize("text", ["", "/// logo\n///\n"])
def test_a_page_that_names_no_logo_keeps_the_icon_that_ships(root, text):
    prose(root, "intro", text)
    site = build(root).parent
    assert icons(site) == [("icon", "static/icon.png")]
    assert (site / "static/icon.png").is_file()
    assert not any("logo" in header for header in headers(site))
    assert list((site / "figures").glob("logo-*")) == []


def test_the_social_card_has_the_logo_above_the_last_picture(root):
    panel = enlarged(root, 256)
    prose(root, "intro", f"/// lead\n{TURNING}\n///\n")
    plain = next((build(root).parent / "figures").glob("card-*.png")).name
    prose(root, "intro", f"/// lead\n{TURNING}\n///\n\n/// logo\n{TURNING}\n///\n")
    (path,) = (build(root).parent / "figures").glob("card-*.png")
    assert path.name != plain
    left, top, side = 1200 - 60 - LOGO, LOGO_TOP, LOGO
    found = Image.open(path).crop((left, top, left + side, top + side))
    wanted = panel.resize((side, side), Image.Resampling.LANCZOS)
    middle = (side // 4, side // 4, side * 3 // 4, side * 3 // 4)
    assert found.crop(middle).tobytes() == wanted.crop(middle).tobytes()


def test_the_logo_counts_before_scrolling_and_weighs_little(root):
    enlarged(root, 256)
    weights = []
    for text in ("", f"/// logo\n{TURNING} | flip: one, other\n///\n"):
        prose(root, "intro", text)
        index = build(root)
        weights.append(budget.weigh(index.read_text(), index.parent)["first"])
    loaded = [index.parent / icons(index.parent)[0][1], *(index.parent / "figures").glob("logo-*.avif")]
    saved = (index.parent / "static" / "icon.png").stat().st_size  # the icon of a report without a logo
    assert sum(path.stat().st_size for path in loaded) - saved < weights[1] - weights[0] < 11_000


# --- figures


def test_a_row_of_one_picture_shows_it_once(root):
    noisy = [panel(f"t = {t}", t, row="noisy") for t in (250, 500)]
    section(root, "1.3", {"one": [*(panel(f"t = {t}", 9, row="original") for t in (250, 500)), *noisy]})
    page = build(root).read_text()
    figure = page[page.index('id="fig-1_3-one"') : page.index('id="sec-1_8"')]
    assert figure.count('class="full"') == 3
    assert figure.index("single-1_3-one-1") < figure.index("<table")


def test_two_stages_that_visit_the_same_timesteps_are_told_apart(root):
    section(root, "0", {"one": [panel("a", later=[[500, 125, 0], [500, 125]])]})
    assert "500, 125, 0, seed 42; then 500, 125, seed 42" in build(root).read_text()


# --- the pages beside it


def test_the_page_leads_to_its_code_its_records_and_its_card(root):
    card = root / "generators" / "models" / "pocket" / "MODEL_CARD.md"
    card.parent.mkdir(parents=True, exist_ok=True)
    text = "# pocket\n\n<!-- made -->\n\n![Samples](sheet.webp)\n\n## The judge\n\n| a |\n|--:|\n| <b> |\n"
    card.write_text(f"{text}\n```python\nx = '<i>'\n```\n")
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
    assert re.search(r"<pre [^>]*><code[^>]*>x = '&lt;i&gt;'", read)
    assert " style=" not in read
    assert (site / "sheet.webp").is_file()
    for name in ("code.html", "model-card.html"):
        assert links.broken((site / name).read_text(), site) == []
    card.with_name("sheet.webp").unlink()
    with pytest.raises(BuildError, match=r"MODEL_CARD\.md: sheet\.webp: the card shows it, but it does not exist"):
        build(root)


def test_a_repository_takes_the_place_of_the_code_page_in_the_header(root):
    path = root / "report" / "report.toml"
    path.write_text(path.read_text().replace('# repository = "https://…"', 'repository = "https://example.org/code" #'))
    assert '<a href="https://example.org/code">Code</a>' in build(root).read_text()
