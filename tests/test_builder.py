"""The builder: what it makes of records and prose, and what it refuses, with the file and the line."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import page_fixture as fixture
import pytest
from page_fixture import TIMESTEPS, panel, prose, section

from generators.records.errors import BuildError
from report.figures import figure_png
from report.page import budget, links
from report.page.builder import build
from report.prose import values
from report.prose.mathml import displayed


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A report of one section, 1.2, with the figure 1.2-blur; grids are not drawn, for matplotlib is slow to load."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    fixture.folder(tmp_path)
    section(tmp_path, "1.2", {"blur": fixture.blurred()})
    return tmp_path


FIGURE = "/// fig | 1.2-blur\n///\n"


def html(root: Path, text: str | None = None) -> str:
    if text is not None:
        prose(root, "part_1_2", text)
    return build(root).read_text()


def parameters(page: str) -> list[tuple[str, str]]:
    """The terms and texts below the captions."""
    lines = "".join(re.findall(r'<dl class="parameters">(.*?)</dl>', page, re.DOTALL))
    return re.findall(r"<dt>(.*?)</dt> <dd>(.*?)</dd>", lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "One\n\n/// fig | 1.2-blurr\n///\n" + FIGURE,
            "part_1_2.md:3: unknown figure '1.2-blurr'; section 1.2 has: 1.2-blur",
        ),
        ("/// fig | 1.9-skull\n///\n" + FIGURE, "part_1_2.md:1: unknown figure '1.9-skull'; no section 1.9"),
        (FIGURE + "\n" + FIGURE, "part_1_2.md:4: figure 1.2-blur is placed twice; first in part_1_2.md:1"),
        ("No figure.\n", "part_1_2.md: figure 1.2-blur is never placed"),
        (FIGURE + "See @fig:1.2-none.\n", "part_1_2.md:3: there is no figure 1.2-none"),
        (FIGURE + "See @fig:nonsense.\n", "part_1_2.md:3: '@fig:nonsense.' is not a reference"),
        (FIGURE + "$$\na\n$$\nSee @sec:1.9.\n", "part_1_2.md:6: @sec:1.9: there is no section 1.9"),
        (
            FIGURE + "@val:1.2-blur[t=251].psnr\n",
            "part_1_2.md:3: @val:1.2-blur[t=251].psnr: no panel of 1.2-blur has t=251",
        ),
        (FIGURE + "@val:1.2-blur[t=250].psnr\n", "2 panels with different values"),
        (FIGURE + "@val:1.2-blur[t=250].sharpness\n", "no field 'sharpness'; the panel has: psnr, show, t"),
        (FIGURE + "@val:1.2-blur[u=1].psnr\n", "no field 'u'"),
        (FIGURE + "The seed is SEED_HERE.\n", "part_1_2.md:3: placeholder 'SEED_HERE'"),
        (FIGURE + "TODO\n", "part_1_2.md:3: placeholder 'TODO'"),
        (FIGURE + "Lorem Ipsum dolor\n", "part_1_2.md:3: placeholder 'Lorem Ipsum'"),
        (FIGURE + "By [Your Name].\n", "part_1_2.md:3: placeholder '[Your Name]'"),
        (FIGURE + "\n$$\n\\frac{a\n$$\n", "part_1_2.md:4: bad TeX"),
        (FIGURE + "So $\\foo$.\n", 'part_1_2.md:3: bad TeX in $\\foo$: Unknown command "\\foo".'),
        (FIGURE + "$$ x\n", "part_1_2.md:3: `$$` without its counterpart"),
        (FIGURE + "/// figure | 1.2-blur\n///\n", "part_1_2.md:3: unknown directive 'figure'"),
        (FIGURE + "/// only | pocket\nText\n", "part_1_2.md:3: `/// only` is never closed"),
        (
            FIGURE + "/// only | pokcet\nText\n///\n",
            "part_1_2.md:3: `/// only` names the unknown model 'pokcet'; known: pocket, deepfloyd, deepfloyd-l, ",
        ),
        (
            FIGURE + "/// only | pocket, deepfloyd\nText\n///\n",
            "part_1_2.md:3: `/// only` names the unknown model 'poc",
        ),
        (FIGURE + "/// only | pocket Pocket\nText\n///\n", "part_1_2.md:3: `/// only` names the unknown model 'Pock"),
        (FIGURE + "\n```\ncode\n", "part_1_2.md:4: this fenced code is never closed"),
        (FIGURE + "/// code | generators/schedule.py::Nothing\n///\n", "part_1_2.md:3: unknown code target"),
        (FIGURE + "/// code | ../secret.py::Nothing\n///\n", "part_1_2.md:3: unknown code target"),
        (
            FIGURE + "/// code | generators/schedule.py::STRIDE | hidden\n///\n",
            "part_1_2.md:3: `/// code` must have the form",
        ),
        (FIGURE + "/// lead\n///\n", "part_1_2.md:3: `/// lead` belongs in intro.md"),
        (FIGURE + "\n[x](javascript:alert(1))\n", "part_1_2.md:4: a link to 'javascript:alert(1)'"),
        (
            FIGURE + "\n![x](https://example.org/x.png)\n",
            "part_1_2.md:4: the picture https://example.org/x.png is not in",
        ),
        (FIGURE + "\n![x](inputs/x.png)\n", "part_1_2.md:4: x.png: there is no such file in inputs"),
        (FIGURE + "\n![x](../report.toml)\n", "part_1_2.md:4: the picture ../report.toml is not in report/writeup"),
        (FIGURE + "\n![x](part_1_2.md)\n", "part_1_2.md:4: part_1_2.md is not a readable image; save it as JPEG"),
        (FIGURE + "\n![](inputs/x.png)\n", "part_1_2.md:4: the picture inputs/x.png needs a text for readers"),
        (FIGURE + "\n![image](inputs/x.png)\n", "part_1_2.md:4: the picture inputs/x.png needs a text for readers"),
        (FIGURE + '\n![x](inputs/x.png "y")\n', "part_1_2.md:4: an image in the prose; write ![what it shows]("),
        (FIGURE + "\n[x](#fig-1_9-none)\n", "part_1_2.md:4: #fig-1_9-none leads nowhere"),
        (FIGURE + "\n### One\n\n##### Two\n", "part_1_2.md:6: the heading 'Two' skips a level"),
    ],
)
def test_problems_in_prose_have_file_and_line(root, text, message):
    with pytest.raises(BuildError) as caught:
        html(root, text)
    assert message in str(caught.value)
    assert not (root / "site").exists()


def test_all_problems_are_reported_at_once_one_line_each(root):
    with pytest.raises(BuildError) as caught:
        html(root, FIGURE + "TODO @sec:7\n\n$\\foo$\n")
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["3", "3", "5"]


def test_prose_without_a_record_says_what_to_run(root):
    prose(root, "part_1_8", "Anagrams.\n")
    with pytest.raises(BuildError, match=r"part_1_8\.md: no module declares a section 1\.8; the page has 1\.2: rename"):
        build(root)
    (root / "generators" / "sections" / "part_1_8.py").touch()
    with pytest.raises(
        BuildError, match=r"part_1_8\.md: section 1\.8 has not been drawn by pocket; run `report section 1\.8`"
    ):
        build(root)


def test_a_missing_panel_fails_even_when_its_web_form_is_known(root):
    build(root)
    (root / ".report/pocket/1.2/blur-02.webp").unlink()
    with pytest.raises(BuildError, match=r"record\.json: blur-02\.webp: the panel's file is missing"):
        build(root)


def test_pixels_must_be_those_of_the_record(root):
    fixture.picture(99).save(root / ".report/pocket/1.2/blur-02.webp", lossless=True)
    with pytest.raises(BuildError, match=r"blur-02\.webp: its pixels are not those of its record"):
        build(root)


@pytest.mark.parametrize(("alt", "message"), [("image", "says nothing"), ("", "says nothing"), ("TODO", "placeholder")])
def test_alt_texts_must_say_something(root, alt, message):
    section(root, "1.2", {"blur": [panel("t", alt=alt)]})
    with pytest.raises(BuildError, match=message):
        build(root)


def test_bad_tex_in_a_record_is_named(root):
    section(root, "1.2", {"blur": [panel("$\\foo$"), panel("b")]})
    with pytest.raises(BuildError, match=r"record\.json: bad TeX in .*; change it in generators/sections/part_1_2\.py"):
        html(root, FIGURE)


def test_a_damaged_record_is_named(root):
    path = root / ".report/pocket/1.2/record.json"
    record = json.loads(path.read_text())
    del record["figures"][0]["panels"][0]["alt"]
    fixture.write_record(path, record)
    with pytest.raises(BuildError, match=r"1\.2/record\.json: the record has no 'alt'; run `report section 1\.2`"):
        build(root)


def test_a_failing_build_leaves_the_old_site_as_it_was(root):
    def bytes_of_site():
        return {path: path.read_bytes() for path in (root / "site").rglob("*") if path.is_file()}

    html(root, FIGURE)
    before, around = bytes_of_site(), sorted(root.iterdir())
    for text in (FIGURE + "TODO", FIGURE + "[x](#nowhere)"):
        with pytest.raises(BuildError):
            html(root, text)
        assert bytes_of_site() == before
        assert sorted(root.iterdir()) == around  # no folder left beside it either


def test_the_same_inputs_give_the_same_page_and_nothing_stale_stays(root):
    first = html(root, FIGURE)
    (root / "site" / "figures" / "left-over.webp").touch()
    assert html(root, FIGURE) == first
    assert not (root / "site" / "figures" / "left-over.webp").exists()


def test_sections_and_figures_come_in_numerical_order(root):
    for number in ("1.10", "1.9", "0"):
        section(root, number, {"one": [panel("a")], "two": [panel("b", 1)]})
    page = html(root, "See @fig:1.10-one.\n\n" + FIGURE)
    assert re.findall(r'<section [^>]*id="sec-([\d_]+)"', page) == ["0", "1_2", "1_9", "1_10"]
    placed = re.findall(r'<figure [^>]*id="fig-([^"]+)"', page)
    assert placed == ["0-one", "0-two", "1_2-blur", "1_9-one", "1_9-two", "1_10-one", "1_10-two"]
    assert re.findall(r">Figure (\d)\.<", page) == list("1234567")
    assert '<a href="#fig-1_10-one">Figure\u00a06</a>' in page


def test_nothing_from_records_or_prose_becomes_markup(root):
    evil = "<script>alert(1)</script>"
    panels = [panel(evil, prompts=[evil, ""], alt=evil, row=f"{evil}{i}", case={"t": evil}) for i in range(2)]
    section(root, "1.2", {"blur": panels}, caption=evil, title=evil)
    page = html(root, f"{FIGURE}\n{evil}\n\n<b onclick='x()'>bold</b> `{evil}`\n\n- <img src=x>\n\n```\n{evil}\n```\n")
    assert re.findall("<script[^>]*>", page)[1:] == re.findall("<script src[^>]*>", page)  # the data block, page.js
    assert "onclick='x()'&gt;bold" in page.replace("’", "'").replace("‘", "'") or "&lt;b onclick" in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 8


def test_web_forms_are_reused(root, monkeypatch):
    html(root, FIGURE)
    monkeypatch.setattr("report.web.images.encode", lambda *_: pytest.fail("encoded again"))
    monkeypatch.setattr(figure_png, "compose", lambda *_: pytest.fail("composed again"))
    page = html(root, FIGURE + "More words.\n")
    assert "More words." in page
    shutil.rmtree(root / "site")  # the cache alone is enough
    html(root)
    shutil.rmtree(root / ".report" / "web")  # and so is the site alone
    html(root)


def test_published_records_stand_in_for_sections_that_are_not_drawn_here(root, monkeypatch):
    section(root, "1.8", {"flip": [panel("upright", size=256)]})
    first = build(root).read_text()
    shutil.rmtree(root / ".report")
    assert build(root).read_text() == first
    section(root, "1.2", {"blur": [panel("new", 5)]})
    again = build(root).read_text()
    assert ">new<" in again
    assert 'id="fig-1_8-flip"' in again
    next((root / "site/figures").glob("1.8-flip*.avif")).unlink()
    with pytest.raises(BuildError, match=r"the published file is missing; run `report section 1\.8`"):
        build(root)


def test_published_records_of_another_model_are_not_used(root):
    build(root)
    shutil.rmtree(root / ".report")
    with pytest.raises(BuildError, match="nothing has been drawn by deepfloyd"):
        build(root, "deepfloyd")
    section(root, "1.3", {"step": [panel("a")]}, model="deepfloyd")
    page = build(root, "deepfloyd").read_text()
    assert 'id="sec-1_3"' in page
    assert "sec-1_2" not in page
    assert "deepfloyd, a model for tests" in page
    assert "<code>make site MODEL=deepfloyd</code>" in page


def test_the_banner_names_the_model(root):
    assert "drawn by <strong>pocket, a model for tests</strong>" in html(root)
    path = root / ".report/pocket/1.2/record.json"
    record = json.loads(path.read_text().replace("pocket, a model for tests", "a small <cascade>"))
    fixture.write_record(path, record)
    assert "drawn by <strong>pocket, a small &lt;cascade&gt;</strong>" in html(root)


def test_grid_has_headers_where_rows_agree_and_labels_where_not(root):
    grid = html(root)
    assert len(re.findall(r'<th scope="col">', grid)) == 2
    assert re.findall(r'scope="row" class="name">(\w+)', grid) == ["noisy", "blurred"]
    section(root, "1.2", {"blur": [panel("a", row="x"), panel("b", row="y")]})
    rows = html(root)
    assert '<th scope="col">' not in rows
    assert re.findall(r'class="label">(\w)', rows) == ["a", "b"]


def test_larger_images_have_light_forms_and_small_ones_stay_lossless(root):
    section(root, "1.2", {"blur": [panel("a"), panel("b", size=256), panel("c", size=1024)]})
    page = html(root)
    small, middle, large = re.findall(r'<li class="panel">.*?</li>', page, re.DOTALL)
    assert "<picture>" not in small
    assert 'class="pixels"' in small
    assert re.search(r'type="image/avif" srcset="[^ ]+\.avif"', middle)
    assert re.search(r'256w\.avif 256w, [^ ]+512w\.avif 512w, [^ ]+\.avif 1024w" sizes="192px"', large)
    assert re.search(r'<a class="full" href="figures/[^"]+\.jpg"', large)
    from PIL import Image

    with Image.open(next((root / "site/figures").glob("1.2-blur-01-*.webp"))) as shown:
        assert shown.convert("RGB").tobytes() == fixture.picture().tobytes()


def test_how_a_figure_was_made(root):
    section(root, "1.2", {"blur": [panel("a", seeds=[42]), panel("b", 1, seeds=[43], gamma=None, timesteps=[])]})
    made = re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", " ", html(root).split('<details class="tools">')[1].split("</details>")[0])
    )
    for words in (
        "weights SHA-256 abababababab",
        "cpu, float32",
        "68 evaluations here; the whole section: 1,234 evaluations in 40 calls",
        "1.5 s of network here; 12.3 s for the whole section",
        "make section S=1.2",
    ):
        assert words in made.replace("\u00a0", " ")


PHOTO = ("prompt", "“a high quality photo”")
WALK = [("γ", "7, against “”"), ("t", "990, 960 … 0"), ("steps", "34")]


def hybrid(show: str) -> dict[str, Any]:
    case = {"far": "a skull", "near": "waterfalls", "k": 0, "show": show}
    return panel(show, row=show, case=case, prompts=["", "a skull", "waterfalls"], gamma=[3.0, 7.0])


def repainted() -> list[dict[str, Any]]:
    """The panels of an inpainting, the last of which walks the first three steps twice."""
    again = [990, 960, 930, 900, 930, 960, 990, *TIMESTEPS[1:]]
    first = [{**each, "case": {"show": each["label"]}} for each in fixture.inpainted()]
    for each in first[:2]:
        each.update(seeds=[], timesteps=[])
    return [*first, panel("resampled", 4, row="the tower", timesteps=again, case={"show": "resampled"})]


LEVELS = [
    panel(f"i = {i}", i, case={"i_start": i, "prompt": "a fox"}, timesteps=TIMESTEPS[i:], prompts=["a fox", ""])
    for i in (1, 20)
]
BLURS = [
    panel("", row=f"t = {t}", gamma=None, timesteps=[], case={"t": t}, found={"kernel": t // 50, "sigma": t / 250})
    for t in (250, 500)
]
ESTIMATES = [
    panel("walked", gamma=None, case={"t": 690}, timesteps=TIMESTEPS[10:]),
    panel("one step", 1, gamma=None, case={"t": 690}, timesteps=[690]),
    panel("original", 2, gamma=None, case={"t": 690}, timesteps=[], seeds=[]),
]


@pytest.mark.parametrize(
    ("panels", "caption", "expected"),
    [
        (fixture.samples(7.0), "Samples.", [PHOTO, *WALK, ("seeds", "42–44")]),
        (fixture.samples(7.0), "Samples of “a high quality photo”.", [*WALK, ("seeds", "42–44")]),
        ([panel("“a high quality photo”")], "Samples.", [*WALK, ("seed", "42")]),
        (
            [hybrid("near"), hybrid("far")],
            "“a skull”, “waterfalls”.",
            [("γ", "3 (far), 7 (near), against “”"), *WALK[1:], ("seed", "42")],
        ),
        (
            LEVELS,
            "Of “a fox”.",
            [WALK[0], ("i_start", "1, 20"), ("t", "from 960, 390 to 0"), ("steps", "33, 14"), ("seed", "42")],
        ),
        (BLURS, "Blurs.", [("t", "250, 500"), ("seed", "42"), ("kernel", "5, 10"), ("σ", "1, 2")]),
        (
            ESTIMATES,
            "Estimates.",
            [PHOTO, ("γ", "none"), ("t", "690, 660 … 0"), ("steps", "24"), ("seed", "42")],
        ),
        (
            repainted(),
            "Filled.",
            [
                *[PHOTO, *WALK[:2], ("steps", "34 (inpainted); 37 (resampled)"), ("seed", "42")],
                ("mask", "rows 10–19, columns 20–39"),
                ("passes", "1 (inpainted); 2 (resampled)"),
            ],
        ),
    ],
)
def test_the_parameters_stand_below_the_caption_in_one_order(root, panels, caption, expected):
    section(root, "1.2", {"blur": panels}, caption=caption)
    page = html(root)
    assert parameters(page) == expected
    folded = page.split('<details class="tools">')[1].split("</details>")[0]
    assert not [text for _, text in expected if len(text) > 5 and text in folded]  # said once


def test_the_hole_of_a_mask_that_is_no_rectangle(root):
    panels = repainted()
    panels[1]["image"].putpixel((25, 15), (0, 0, 0))
    section(root, "1.2", {"blur": panels})
    assert ("mask", "within rows 10–19, columns 20–39") in parameters(html(root))


def test_only_some_columns_are_shown_and_the_files_hold_all(root):
    page = html(root, "/// fig | 1.2-blur | columns: $t = 500$\n///\n")
    assert re.findall(r'alt="The tower, (.*?)"', page) == ["noisy, at t = 500", "blurred, at t = 500"]
    whole = html(root, FIGURE)
    grid = re.compile(r'href="(figures/1\.2-blur-grid-\w+\.png)"')
    assert grid.findall(page) == grid.findall(whole)


def test_a_fold_is_titled_by_what_it_shows(root):
    text = "/// code | generators/schedule.py::STRIDE | folded: Every thirtieth <step>\n///\n"
    page = html(root, FIGURE + text)
    assert "<summary>Every thirtieth &lt;step&gt;: <code>STRIDE</code></summary>" in page


def test_every_fold_of_the_report_has_a_title():
    texts = [path.read_text() for path in (fixture.REPO / "report" / "writeup").glob("*.md")]
    folds = re.findall(r"^/// code \|.*\| *(folded.*)$", "\n".join(texts), re.MULTILINE)
    assert len(folds) > 10
    assert [fold for fold in folds if len(fold.split()) < 3] == []


def test_the_readings_of_a_sample_stand_together(root):
    section(root, "1.2", {"blur": fixture.two_ways("upright", "flipped")})
    page = html(root)
    assert re.findall(r'scope="row" class="name hidden">(.*?)<', page) == ["sample 0", "sample 1"]
    assert re.findall(r'class="label">(.*?)<', page) == ["sample 0, upright", "flipped", "sample 1, upright", "flipped"]


def test_equations_side_by_side_may_part():
    assert displayed(r"a = b, \qquad c = d").count('<math display="block"') == 2
    for whole in (r"\begin{align}a \qquad b\end{align}", r"\left(a \qquad b\right)"):
        assert displayed(whole).count('<math display="block"') == 1


def test_a_record_of_an_older_version_counts_the_whole_section_only(root):
    path = section(root, "1.2", {"blur": [panel("a")]})
    record = json.loads(path.read_text())
    [walk], [drawn] = record.pop("trajectories"), record["figures"][0]["panels"]
    del drawn["trajectories"]
    drawn.update({name: walk[name] for name in ("prompts", "gamma", "timesteps", "evaluations", "seconds")})
    fixture.write_record(path, record)
    page = html(root)
    assert ("prompt", "“a high quality photo”") in parameters(page)
    assert ("t", "990, 960 … 0") in parameters(page)
    assert "<dd>1,234 evaluations in 40 calls in the whole section</dd>" in page


def test_readings_that_are_guided_differently_show_every_gamma(root):
    section(root, "1.2", {"blur": [panel("a", gamma=[3.0, 7.0]), panel("b", 1, gamma=None)]})
    prose(root, "part_1_2", "Guided at @val:1.2-blur[label=a].gamma.\n\n/// fig | 1.2-blur\n///\n")
    page = html(root)
    assert "Guided at 3, 7 ." in re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert ("γ", "3, 7, against “” (a); none (b)") in parameters(page)


def test_the_source_of_a_figure_has_its_lines(root):
    (root / "generators/sections/part_1_2.py").write_text(
        'X = 1\nSECTION = Section(\n    [Figure(\n        "blur",\n    )],\n)\n'
    )
    assert "generators/sections/part_1_2.py, lines 3–5" in html(root)


def test_two_sides_of_one_run_are_counted_once(root):
    section(root, "1.2", {"blur": [panel("a"), panel("b", 1), panel("c", 2, seeds=[43])]})
    assert "136 evaluations here" in html(root)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("FIRST", r"KB to show its first screen, more than 1 KB; load the first images lazily"),
        ("SCRIPT", r"KB of script, more than 1 KB; shorten templates/static/page\.js"),
    ],
)
def test_a_page_that_is_too_heavy_is_refused_in_one_line(root, monkeypatch, name, told):
    monkeypatch.setattr(f"report.page.budget.{name}", 1000)
    with pytest.raises(BuildError, match=rf"^site/index\.html: the page has .* {told}"):
        build(root)


def test_of_pictures_that_are_heavy_together_the_author_is_told(root, monkeypatch):
    """The page is there all the same: they took hours to draw."""
    monkeypatch.setattr("report.page.budget.WHOLE", 1000)
    told: list[str] = []
    assert build(root, tell=told.append).is_file()
    (line,) = told
    assert re.fullmatch(r"site/index\.html: the page has .* KB in all, more than 1 KB; fewer or .*", line)


def test_of_several_widths_the_one_counts_that_such_a_screen_loads(tmp_path):
    for name, size in (("half", 10), ("whole", 1000), ("fallback", 5000)):
        (tmp_path / name).write_bytes(bytes(size))
    picture = (
        '<picture><source srcset="half 512w, whole 1024w" sizes="{}"><img src="fallback" loading="lazy"></picture>'
    )
    heavier = {sizes: budget.weigh(picture.format(sizes), tmp_path) for sizes in ("256px", "257px", "2000px")}
    assert [found["whole"] - found["first"] for found in heavier.values()] == [10, 1000, 1000]


def test_fragments_of_links_into_other_pages_are_checked(tmp_path):
    (tmp_path / "code.html").write_text('<p id="part_1-9">x</p><p id="übung">y</p>')
    (tmp_path / "notes.txt").write_text("no page")
    good = ("code.html", "code.html#", "code.html#top", "code.html#part_1-9", "code.html#%C3%BCbung", "notes.txt#part")
    bad = ("code.html#part_1-10", "code.html?v=1#gone")
    text = "".join(f'<a href="{address}">x</a>' for address in (*good, *bad))
    assert links.broken(text, tmp_path) == [
        (address, f"{address} leads nowhere: no element of code.html has that id") for address in bad
    ]


def test_a_quoted_line_that_the_code_page_lacks_is_refused(root, monkeypatch):
    monkeypatch.setattr("report.page.directives.code_address", lambda path, line: f"code.html#gone-{line}")
    with pytest.raises(BuildError, match=r"code\.html#gone-\d+ leads nowhere: no element of code\.html has that id"):
        build(root)


def test_what_the_policy_forbids_is_refused(tmp_path):
    text = '<p id="a" onclick="go()" style="color: red">x</p><script>1</script><style>p {}</style>'
    assert [text for text, _ in links.broken(text, tmp_path)] == [
        'onclick="go()"', 'style="color: red"', "<script>", "<style>",
    ]  # fmt: skip


def test_the_software_is_cited_after_the_citation_file_and_a_card_needs_an_address(root):
    path, mine = root / "CITATION.cff", root / "report" / "report.toml"
    mine.write_text(mine.read_text().replace('# url = "https://…"', 'url = "https://example.org/report" #'))
    prose(root, "intro", "/// lead\n1.2-blur[t=250,show=blurred]\n1.2-blur[t=500,show=blurred]\n///\n")
    page = html(root)
    assert "@software{diffusion-report," in page
    assert "author  = {{the diffusion-report authors}}" in page
    assert re.search(r'property="og:image" content="https://example\.org/report/figures/card-\w+\.png"', page)
    from PIL import Image

    with Image.open(next((root / "site/figures").glob("card-*.png"))) as card:
        assert card.size == (1200, 630)
    for text, told in (("title: x\n", "'version' is missing"), ("{", "not a citation file")):
        path.write_text(text)
        with pytest.raises(BuildError, match=rf"^CITATION\.cff: {told}"):
            build(root)
    path.unlink()
    with pytest.raises(BuildError, match=r"^CITATION\.cff: the file is missing"):
        build(root)


def test_values_and_code_come_from_the_records_and_the_sources(root):
    page = html(
        root,
        "/// fig | 1.2-blur | values: psnr, ssim\n///\n\n"
        "The blur reaches @val:1.2-blur[t=250,show=blurred].psnr. In `@val:code` and\n"
        "@val:1.2.evaluations evaluations.\n\n"
        "/// code | generators/schedule.py::Schedule.forward\n///\n\n/// code | generators/schedule.py::STRIDE\n///\n",
    )
    assert re.findall(r'class="values">([^<]*)', page) == [
        "PSNR 12.3\u00a0dB", "PSNR 12.3\u00a0dB", "PSNR 20.2\u00a0dB, SSIM 0.71", "PSNR 20.5\u00a0dB, SSIM 0.71"
    ]  # fmt: skip
    assert '<span class="value">20.2\u00a0dB</span>. In <code>@val:code</code>' in page
    assert '<span class="value">1,234</span>' in page
    assert 'href="code.html#generators-schedule-5"><code>generators/schedule.py</code></a>, lines 5–6' in page
    assert "generators/schedule.py</code></a>, line 1<" in page
    assert '<span class="k">return</span> x0 &lt; t' in page


def test_only_shows_what_is_said_of_this_model(root):
    page = html(
        root,
        FIGURE + "/// only | pocket\nSmall.\n///\n\n/// only | deepfloyd\nHuge @fig:9.9-none $\\foo$.\n///\nBoth.\n",
    )
    assert "Small." in page
    assert "Both." in page
    assert "Huge" not in page


def test_formulas_survive_markdown(root):
    page = html(
        root,
        FIGURE
        + "Text\n$$\\begin{aligned} a_1 &= b_2 \\\\ c_3 &< d_4 \\end{aligned}$$\nmore $x_1 * y_2 * z_3$ for \\$5.\n",
    )
    assert page.count("<math") == 2 + 1 + 1 + 4  # the headers, display, inline, the panels' labels
    assert "scriptlevel" not in page
    assert "<em>" not in page
    assert "for $5." in page
    assert " style=" not in page  # the Content-Security-Policy forbids it


def test_notes_and_lists_hold_formulas_and_references(root):
    page = html(root, "/// fig | 1.2-blur\nAs in @fig:1.2-blur, $x$.\n///\n\n- one\n  $$y$$\n- two\n")
    note = page.split('<div class="note">')[1].split("</div>")[0]
    assert "#fig-1_2-blur" in note
    assert "<math>" in note
    assert page.split("<main", 1)[1].count("<ul>") == 1


def test_the_builder_loads_nothing_slow():
    import subprocess

    slow = ("torch", "numpy", "matplotlib", "generators.figures")
    code = f"import sys, report.page.builder; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=fixture.REPO, check=True)
    assert done.stdout.strip() == "[]"


def test_the_grid_to_download_is_a_picture(tmp_path):
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from report.problems import Problems
    from report.records.drawn import load

    fixture.folder(tmp_path)
    panels = fixture.blurred()
    section(tmp_path, "1.2", {"blur": panels}, caption="At $\\bar\\alpha_t$, and $\\text{a}$ for \\$5.")
    (record,) = load(tmp_path, "pocket", tmp_path / "site", Problems(tmp_path))
    data = figure_png.compose(record.figures[0], [panel["image"] for panel in panels], PngInfo())
    (tmp_path / "grid.png").write_bytes(data)
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.format == "PNG"
        assert min(grid.size) > 2 * 192


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (values.compact(fixture.TIMESTEPS), "990, 960 … 0 (34 steps)"),
        (values.compact([90, 0]), "90, 0"),
        (values.ranges([42, 43, 44, 46, 48, 49]), "42–44, 46, 48, 49"),
        (values.shown("psnr", -21.34), "−21.3\u00a0dB"),
        (values.shown("sigma", 1.23456), "1.23"),
        (values.shown("evaluations", 12345), "12,345"),
        (values.shown("gamma", None), "none"),
        (values.duration(7325), "2\u00a0h 2\u00a0min"),
    ],
)
def test_numbers_are_set_for_readers(shown, text):
    assert shown == text


# --- texts with commas, brackets and quotes

PROMPTS = ["a dog, running", "a [sic] sign", 'a sign saying "hi", red', "k=0", '"', "a | b", "a dog", "]", "x = 1, y"]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture
def prompts(root):
    """Section 1.2 has a panel of each prompt, in one row; its evaluations are 100 and more."""
    panels = [
        panel(prompt, seed, case={"prompt": prompt, "k": seed}, evaluations=100 + seed)
        for seed, prompt in enumerate(PROMPTS)
    ]
    section(root, "1.2", {"blur": panels})
    return root


@pytest.mark.parametrize("number", range(len(PROMPTS)))
def test_any_prompt_can_be_addressed(prompts, number):
    prompt = quoted(PROMPTS[number])
    prose(prompts, "intro", f"/// lead\n1.2-blur[k={number},prompt={prompt}]\n///\n")
    text = (
        f"So @val:1.2-blur[prompt={prompt},k={number}].evaluations, @val:1.2-blur[k = {number}, prompt = {prompt}].k.\n"
    )
    page = html(prompts, FIGURE + text)
    assert f'<span class="value">{100 + number}</span>, <span class="value">{number}</span>' in page


@pytest.mark.parametrize("number", range(len(PROMPTS)))
def test_any_column_can_be_named(prompts, number):
    html(prompts, f"/// fig | 1.2-blur | slide: {quoted(PROMPTS[number])}\n///\n")


def test_a_step_that_is_gone_is_passed_over_and_said(prompts):
    prose(prompts, "part_1_2", '/// fig | 1.2-blur | slide: "another, one"\n///\n')
    told = []
    build(prompts, tell=told.append)
    (line,) = told
    assert line.startswith("report/writeup/part_1_2.md:1: `slide` names 'another, one'; the panels of")


def test_texts_without_commas_need_no_quotes(prompts):
    text = "@val:1.2-blur[prompt=a dog].k @val:1.2-blur[prompt=a | b].k"
    assert re.findall(r'<span class="value">(\d+)</span>', html(prompts, FIGURE + text)) == ["6", "5"]


def test_half_a_quoted_prompt_is_told_how_to_quote(prompts):
    with pytest.raises(BuildError) as caught:
        html(prompts, FIGURE + "@val:1.2-blur[prompt=a dog, running].k\n")
    (line,) = str(caught.value).splitlines()
    assert 'a value with a comma in quotes, as in prompt="a dog, running"' in line


@pytest.mark.parametrize("bracket", ['="', '="a"', '=""', '[="', '"', '=" '])
def test_long_brackets_are_read_at_once(root, bracket):
    """Patterns with two ways to read one text take exponential time."""
    with pytest.raises(BuildError):
        html(root, FIGURE + "@val:1.2-blur[" + bracket * 2000 + "].\n")
