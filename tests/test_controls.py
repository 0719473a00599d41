"""Every control of the page, driven by keyboard, and where it matters by pointer, in a real browser."""

from __future__ import annotations

import threading

import page_fixture as fixture
import pytest
from page_fixture import panel, prose, section
from PIL import Image

from report.builder import BuildError, build
from report.controls import edge


@pytest.fixture
def page(visit, built):
    return visit(f"file://{built}/index.html", viewport={"width": 1280, "height": 900}, reduced_motion="reduce")


def figure(page, name):
    return page.locator(f"#fig-{name.replace('.', '_')}")


def sources(locator):
    return locator.evaluate_all("images => images.map(image => image.src)")


def style(locator, name):
    return locator.evaluate("(each, name) => getComputedStyle(each)[name]", name)


def test_the_slider_steps_through_the_trajectory_and_says_t(page):
    found = figure(page, "1.4-trajectory")
    dial, output, view = found.get_by_role("slider"), found.locator("output"), found.locator(".view img")
    assert output.inner_text() == "t = 690"
    seen = sources(view)
    dial.focus()
    for t in (540, 390, 240, 90):
        page.keyboard.press("ArrowRight")
        assert output.inner_text() == f"t = {t}"
        assert dial.get_attribute("aria-valuetext") == f"t = {t}"
        assert view.get_attribute("alt") == f"Blocks of colour, t = {t}"
        assert sources(found.locator(".panel.shown img")) == sources(view)
        seen += sources(view)
    assert seen == sources(found.locator(".panel img"))


def test_a_slider_moves_all_rows_through_the_stops_that_it_was_given(page):
    found = figure(page, "1.7-sdedit")
    found.get_by_role("slider").focus()
    assert found.locator("output").inner_text() == "i = 20"
    page.keyboard.press("End")
    assert found.locator("output").inner_text() == "i = 1"
    assert sources(found.locator(".view img")) == sources(found.locator("tbody .panel:nth-child(2) img"))


@pytest.mark.parametrize(("name", "ends"), [("1.2-blur", "noisy"), ("1.7.2-inpaint", "original")])
def test_the_wipe(page, name, ends):
    found = figure(page, name)
    dial, over = found.get_by_role("slider"), found.locator(".frame img + img").first
    assert style(over, "clipPath") == "inset(0px 0px 0px 50%)"
    dial.focus()
    page.keyboard.press("ArrowRight")
    assert style(over, "clipPath") == "inset(0px 0px 0px 51%)"
    assert dial.get_attribute("aria-valuetext") == f"51% {ends}"
    page.keyboard.press("Home")
    assert style(over, "clipPath") == "inset(0px)" or style(over, "clipPath").endswith(" 0%)")
    frame = found.locator(".frame").first  # and by dragging on the picture itself
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 100)
    page.mouse.up()
    assert dial.input_value() == "25"


def test_the_mask_is_outlined(page):
    paths = figure(page, "1.7.2-inpaint").locator("svg path")
    assert paths.first.get_attribute("d") == "M20 10h20M20 20h20M20 10v10M40 10v10"


def test_the_edge_of_a_mask_that_touches_the_border_and_is_no_rectangle():
    mask = Image.new("L", (3, 3), 255)
    mask.putpixel((2, 2), 0)
    assert edge(mask) == "M0 0h3M2 2h1M0 3h2M0 0v3M2 2v1M3 0v2"


def test_the_flip_turns_one_picture_and_its_caption(page):
    views = figure(page, "1.8-turning").locator(".view")
    switch = views.first.get_by_role("switch", name="Turn over sample 0")
    assert views.first.locator(".reading").inner_text() == "upright: “an old man”"
    switch.focus()
    page.keyboard.press("Space")
    assert views.first.locator(".reading").inner_text() == "flipped: “a campfire”"
    assert style(views.first.locator("img"), "transform").startswith("matrix3d(1, 0, 0, 0, 0, -1")
    assert style(views.nth(1).locator("img"), "transform") == "none"
    views.first.locator("img").click()  # the picture is the switch's label
    assert views.first.locator(".reading").inner_text() == "upright: “an old man”"


def test_stepping_back_from_a_hybrid(page):
    found = figure(page, "1.9-distant")
    assert "an old man" in found.locator(".dial").inner_text()
    large, small = found.locator(".frame img").first, found.locator(".small img").first
    assert (large.bounding_box()["width"], small.bounding_box()["width"]) == (192, 64)
    found.get_by_role("slider").focus()
    page.keyboard.press("End")
    assert large.bounding_box()["width"] == 24
    assert small.bounding_box()["width"] == 64
    assert found.get_by_role("slider").get_attribute("aria-valuetext") == "8 × the distance"


def test_guidance_is_compared_at_the_same_seeds(page):
    found = figure(page, "1.6-samples")
    rows = [text.replace("\u00a0", " ") for text in found.locator(".name").all_inner_texts()]
    assert rows == ["no guidance (Figure 5)", "γ = 7"]
    assert found.locator(".panel").count() == 6


def test_the_loupe_moves_all_stages_together(page):
    found = figure(page, "0-stages")
    found.get_by_role("switch").focus()
    page.keyboard.press("Space")
    links = found.locator("tr").nth(1).locator(".full")
    scrolled = "each => [each.scrollLeft, each.scrollTop]"
    assert links.first.evaluate(scrolled) == [384, 384]
    assert links.nth(2).locator("img").bounding_box()["width"] == 1024
    links.nth(2).focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "row => { const [x, y, z] = [...row.querySelectorAll('.full')].map(each => each.scrollLeft);"
        "return x > 384 && x == y && y == z }",
        arg=found.locator("tr").nth(1).element_handle(),
    )
    links.first.hover(position={"x": 16, "y": 128})
    page.wait_for_function("each => each.scrollLeft < 200", arg=links.nth(2).element_handle())
    chosen = links.nth(2).locator("img").evaluate("async image => { await image.decode(); return image.currentSrc }")
    assert "512w" not in chosen


def test_the_lightbox_keeps_its_figure_and_gives_the_focus_back(page):
    found = figure(page, "0-stages")
    link = found.locator(".full").nth(1)
    link.focus()
    page.keyboard.press("Enter")
    box = page.get_by_role("dialog")
    assert box.is_visible()
    assert box.locator(".caption").inner_text() == found.locator(".caption").inner_text()
    assert box.locator(".place").inner_text() == "2 of 6: Blocks of colour, 256 pixels"
    page.keyboard.press("ArrowRight")
    assert box.locator(".place").inner_text() == "3 of 6: Blocks of colour, 1024 pixels"
    assert box.locator("img").bounding_box()["width"] == 1024  # its true size
    page.keyboard.press("Enter")  # on Next, which has the focus
    assert box.locator(".place").inner_text().startswith("4 of 6")
    assert box.locator("img").bounding_box()["width"] % 64 == 0
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert box.locator(".place").inner_text().startswith("6 of 6")
    page.keyboard.press("Escape")
    assert box.is_hidden()
    assert link.evaluate("each => each == document.activeElement")


def test_the_copy_button_copies_the_command(visit, built):
    page = visit(f"file://{built}/index.html", permissions=["clipboard-read", "clipboard-write"])
    found = figure(page, "1.4-trajectory")
    found.locator("summary").focus()
    page.keyboard.press("Enter")
    button = found.get_by_role("button", name="Copy: make section S=1.4")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("each => each.textContent == 'Copied'", arg=button.element_handle())
    assert page.evaluate("navigator.clipboard.readText()") == "make section S=1.4"


def test_a_served_page_loads_again_when_it_was_rebuilt(visit, built):
    from report.serve import Server

    with Server(built, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = visit(f"http://localhost:{server.server_port}/")
        page.evaluate("window.old = true")
        with page.expect_navigation():
            page.wait_for_timeout(100)  # until the page listens
            server.rebuilt()
        assert page.evaluate("window.old") is None
        page.said[:] = [text for text in page.said if not text.endswith("/reload")]  # its page has gone
        server.shutdown()


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ("spin", "unknown control 'spin'; there are: slide, wipe, flip, distance, loupe, beside"),
        ("wipe: noisy", "`wipe` wants 2 to 3 names, not 1"),
        ("wipe: noisy, sharp", "two columns of 1.2-blur, which are: noisy, blurred; $t = 250$, $t = 500$"),
        ("slide: $t = 251$", "`slide` names '$t = 251$'; the columns of 1.2-blur are: $t = 250$, $t = 500$"),
        ("flip: t, show", "`flip`: panel 3 of 1.2-blur is not panel 1 turned over"),
        ("distance: t, far", "`distance`: no field 'far'; the cases of 1.2-blur have: show, t"),
        ("loupe", "`loupe` wants panels of different sizes"),
        ("beside: 1.3-one", "`beside` wants a figure of one row; 1.2-blur has 2"),
        ("", "`/// fig` wants the form `/// fig | 1.2-blur` or `/// fig | 1.2-blur | control`"),
    ],
)
def test_a_control_that_would_not_show_the_truth_is_refused(tmp_path, wish, told):
    fixture.folder(tmp_path)
    section(tmp_path, "1.2", {"blur": fixture.blurred()})
    prose(tmp_path, "part_1_2", f"/// fig | 1.2-blur | {wish}\n///\n")
    with pytest.raises(BuildError) as caught:
        build(tmp_path)
    assert str(caught.value).startswith("report/part_1_2.md:1: ")
    assert told in str(caught.value)


def test_panels_beside_each_other_have_the_same_seeds(tmp_path):
    fixture.folder(tmp_path)
    section(tmp_path, "1.2", {"one": [panel("a", seeds=[42])], "two": [panel("a", seeds=[43])]})
    prose(tmp_path, "part_1_2", "/// fig | 1.2-one\n///\n\n/// fig | 1.2-two | beside: 1.2-one\n///\n")
    with pytest.raises(BuildError, match=r"part_1_2\.md:4: `beside`: the panels of 1\.2-one have other seeds"):
        build(tmp_path)
