"""Every control of the page, driven by keyboard, and where it matters by pointer, in a real browser."""

from __future__ import annotations

import re
import threading

import page_fixture as fixture
import pytest
from page_fixture import panel, prose, section
from PIL import Image, ImageOps

from generators.records.errors import BuildError
from report.figures.controls import edge
from report.page.builder import build


@pytest.fixture
def page(visit, built):
    return visit(f"file://{built}/index.html", viewport={"width": 1280, "height": 900}, reduced_motion="reduce")


def figure(page, name):
    return page.locator(f"#fig-{name.replace('.', '_')}")


def sources(locator):
    return locator.evaluate_all("images => images.map(image => image.src)")


def style(locator, name):
    return locator.evaluate("(each, name) => getComputedStyle(each)[name]", name)


def test_the_slider_begins_at_the_result_and_says_t(page):
    found = figure(page, "1.4-trajectory")
    dial, output, view = found.get_by_role("slider"), found.locator("output"), found.locator(".view img")
    assert output.inner_text() == "t = 90"
    seen = sources(view)
    dial.focus()
    for t in (240, 390, 540, 690):
        page.keyboard.press("ArrowLeft")
        assert output.inner_text() == f"t = {t}"
        assert dial.get_attribute("aria-valuetext") == f"t = {t}"
        assert view.get_attribute("alt") == f"Blocks of colour, t = {t}"
        assert sources(found.locator(".panel.shown img")) == sources(view)
        seen += sources(view)
    assert seen[::-1] == sources(found.locator(".panel img"))


def test_a_panel_that_is_chosen_shows_large(page):
    found = figure(page, "1.4-trajectory")
    dial, view, links = found.get_by_role("slider"), found.locator(".view img"), found.locator(".panel .full")
    links.nth(1).click()
    assert sources(view) == sources(links.nth(1).locator("img"))
    assert dial.input_value() == "1"
    dial.focus()
    page.keyboard.press("End")
    assert sources(view) == sources(links.nth(4).locator("img"))
    assert page.get_by_role("dialog").is_hidden()
    links.nth(4).click()
    assert page.get_by_role("dialog").is_visible()


def test_the_steps_that_a_directive_names_stand_large_before_the_others(page):
    images = figure(page, "1.4-trajectory").locator(".panel img")
    boxes = [image.bounding_box() for image in images.all()]
    assert [box["width"] for box in boxes] == [128, 64, 64, 128, 64]
    assert [box["x"] for box in sorted(boxes, key=lambda box: box["x"])] == [boxes[k]["x"] for k in (0, 3, 1, 2, 4)]


def test_what_goes_on_beside_the_screen_fades_until_its_end(visit, built):
    page = visit(f"file://{built}/index.html", viewport={"width": 390, "height": 900})
    strip = figure(page, "1.7-sdedit").locator(".pictures")
    strip.scroll_into_view_if_needed()
    right = strip.locator(".full").evaluate_all("all => all.map(each => each.getBoundingClientRect()).find("
        "box => box.right > innerWidth)?.left")  # fmt: skip
    assert right < 390 - 64  # the last panel to be seen is cut about in the middle
    assert "gradient" in style(strip, "maskImage")
    strip.evaluate("each => each.scrollLeft = each.scrollWidth")
    page.wait_for_function("each => getComputedStyle(each).maskImage == 'none'", arg=strip.element_handle())
    page.set_viewport_size({"width": 1280, "height": 900})
    assert style(strip, "maskImage") == "none"


def test_the_panels_of_a_figure_are_one_stop_and_arrows_lead_on(page):
    found = figure(page, "1.7-sdedit")
    links = found.locator(".full")
    links.nth(0).focus()
    focused = "each => each == document.activeElement"
    page.keyboard.press("ArrowRight")
    assert links.nth(1).evaluate(focused)
    page.keyboard.press("ArrowDown")
    assert links.nth(7 + 1).evaluate(focused)
    page.keyboard.press("Tab")
    assert found.locator("summary").evaluate(focused)


@pytest.mark.parametrize(
    ("name", "ends"),
    [("1.2-blur", "noisy blurred"), ("1.7.2-inpaint", "original inpainted"), ("1.6-samples", "no guidance,γ = 7")],
)
def test_a_wipe_shows_what_its_end_is_called(page, name, ends):
    found, (first, second) = figure(page, name), ends.split("," if "," in ends else " ")
    dial, over = found.get_by_role("slider"), found.locator(".over").first
    base = over.locator("xpath=preceding-sibling::*").first
    assert [text.replace("\u00a0", " ") for text in found.locator(".dial span").all_inner_texts()] == [first, second]
    assert (dial.input_value(), style(over, "clipPath")) == ("100", "inset(0px 0px 0px 100%)")  # nothing lies over it
    assert dial.get_attribute("aria-valuetext") == f"100% {second}"
    dial.focus()
    page.keyboard.press("Home")  # towards the name of what is laid over: all of it, and nothing of what lies below
    assert style(over, "clipPath") in ("inset(0px)", "inset(0px 0px 0px 0%)")
    assert style(base, "clipPath") == "inset(0px 100% 0px 0px)"
    frame = found.locator(".full:has(.over)").first  # and by dragging on the picture itself
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40)
    page.mouse.up()
    assert dial.input_value() == "25"
    assert page.get_by_role("dialog").is_hidden()  # a drag is no click


def test_on_a_phone_a_wipe_brings_its_panels_into_view(visit, built):
    page = visit(f"file://{built}/index.html", viewport={"width": 320, "height": 900})
    found = figure(page, "1.7.2-inpaint")
    frame, dial = found.locator(".full:has(.over)").first, found.get_by_role("slider")
    right = "each => each.getBoundingClientRect().right"
    dial.scroll_into_view_if_needed()
    assert frame.evaluate(right) > 320
    top = page.evaluate("scrollY")
    dial.press("Home")
    assert frame.evaluate(right) <= 320
    assert page.evaluate("scrollY") == top


def test_a_wipe_lays_the_picture_of_its_own_panel(page):
    found = figure(page, "1.2-blur")
    assert sources(found.locator(".over img")) == sources(found.locator("tr").nth(1).locator(".panel img"))
    other = figure(page, "1.5-samples")
    assert sources(figure(page, "1.6-samples").locator(".over img")) == sources(other.locator(".panel img"))


@pytest.mark.parametrize("width", [1279, 1281, 1333])
def test_samples_stand_on_whole_pixels(visit, built, width):
    page = visit(f"file://{built}/index.html", viewport={"width": width, "height": 900})
    left = "each => each.getBoundingClientRect().left"
    assert figure(page, "1.2-blur").locator(".full img").first.evaluate(left) % 1 == 0


def test_the_mask_is_outlined(page):
    paths = figure(page, "1.7.2-inpaint").locator("svg path")
    assert paths.first.get_attribute("d") == "M20 10h20M20 20h20M20 10v10M40 10v10"


def test_the_edge_of_a_mask_that_touches_the_border_and_is_no_rectangle():
    mask = Image.new("L", (3, 3), 255)
    mask.putpixel((2, 2), 0)
    assert edge(mask) == "M0 0h3M2 2h1M0 3h2M0 0v3M2 2v1M3 0v2"


def test_both_ways_up_stand_side_by_side(page):
    found = figure(page, "1.8-turning")
    assert found.locator(".label").all_inner_texts() == ["sample 0, upright", "flipped", "sample 1, upright", "flipped"]
    boxes = [image.bounding_box() for image in found.locator("img").all()]
    assert len({box["y"] for box in boxes}) == 1
    lefts = [box["x"] for box in boxes]
    assert lefts == sorted(lefts)
    assert lefts[2] - lefts[1] > lefts[1] - lefts[0]  # a pair is seen as one
    found.locator(".full").nth(1).click()
    assert page.get_by_role("dialog").locator(".place").inner_text().startswith("2 of 4")


def test_stepping_back_from_a_hybrid(page):
    found = figure(page, "1.9-distant")
    assert "an old man" in found.locator(".dial").inner_text()
    large, far = (found.locator(".panel img").nth(number) for number in (0, 1))
    width = large.bounding_box()["width"]
    found.get_by_role("slider").focus()
    page.keyboard.press("End")
    assert large.bounding_box()["width"] == width / 8
    assert far.bounding_box()["width"] == width
    assert found.get_by_role("slider").get_attribute("aria-valuetext") == "8 × the distance"


def test_the_loupe_moves_all_stages_together_and_leaves_the_figure_its_height(page):
    found = figure(page, "0-stages")
    height = found.bounding_box()["height"]
    found.get_by_role("switch").focus()
    page.keyboard.press("Space")
    assert found.bounding_box()["height"] == height
    links = found.locator("tbody tr").first.locator(".full")
    for link in links.all():
        assert link.locator("img").bounding_box()["width"] == 1024

    def places():
        return links.evaluate_all("""links => links.map(link => {
            const [image, hole] = [link.querySelector("img"), link].map(each => each.getBoundingClientRect());
            return [(hole.left - image.left) / (1024 - hole.width), (hole.top - image.top) / (1024 - hole.height)]
                .map(at => +at.toFixed(2));
        })""")

    assert places() == [[0.5, 0.5]] * 3
    links.nth(2).focus()
    page.keyboard.press("ArrowRight")
    assert places() == [[0.63, 0.5]] * 3 or places() == [[0.62, 0.5]] * 3
    box = links.first.bounding_box()
    links.first.hover(position={"x": box["width"] / 4, "y": box["height"] / 2})
    assert [at[0] for at in places()] == pytest.approx([0.25] * 3, abs=0.02)
    chosen = links.nth(2).locator("img").evaluate("async image => { await image.decode(); return image.currentSrc }")
    assert "512w" not in chosen


def test_the_page_opens_with_results_to_try(page):
    items = page.locator(".exhibit")
    assert items.count() == 3
    picture = items.first.locator("img")
    picture.evaluate("image => image.decode()")
    assert picture.bounding_box()["y"] < 900
    switch = items.nth(1).get_by_role("switch", name="Turn over")
    faces = items.nth(1).locator("img")
    assert faces.first.is_visible()
    assert faces.nth(1).is_hidden()
    switch.focus()
    page.keyboard.press("Space")
    assert faces.first.is_hidden()
    assert faces.nth(1).is_visible()
    assert items.nth(1).locator(".reading").inner_text() == "flipped: “a campfire”"
    width = items.nth(2).locator("img").bounding_box()["width"]
    items.nth(2).get_by_role("slider").fill("4")
    assert items.nth(2).locator("img").bounding_box()["width"] == width / 4
    assert [link.get_attribute("href") for link in page.locator(".exhibit .where a").all()] == [
        "#fig-0-stages", "#fig-1_8-turning", "#fig-1_9-distant",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "link"), [("index.html", ".emblem"), ("code.html", ".kicker a")])
def test_the_logo_turns_over_under_the_focus_and_under_the_pointer(visit, built, name, link):
    page = visit(f"file://{built}/{name}", viewport={"width": 1280, "height": 900})
    assert page.evaluate("document.getAnimations().filter(each => each instanceof CSSTransition).length") == 0
    picture = page.locator(f"{link} .logo img")
    assert settled(picture) == "none"
    page.locator(link).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")  # by keyboard, to be :focus-visible
    turned = settled(picture)
    assert re.match(r"matrix3d\(1, 0, 0, 0, 0, -1, ", turned)  # y becomes -y
    page.locator(link).evaluate("each => each.blur()")
    assert settled(picture) == "none"
    picture.hover()
    assert settled(picture) == turned
    page.locator(link).click()
    assert page.url.endswith("index.html#fig-1_8-turning" if name == "index.html" else "index.html")


def settled(picture):
    """The transform of a picture that has come to rest."""
    picture.evaluate("each => Promise.all(each.getAnimations().map(animation => animation.finished))")
    return style(picture, "transform")


def test_the_state_of_a_switch_is_seen_in_forced_colours(visit, built):
    page = visit(f"file://{built}/index.html", forced_colors="active", viewport={"width": 1280, "height": 900})
    switch = page.locator(".exhibit").get_by_role("switch")
    off = switch.screenshot()
    switch.check()
    switch.evaluate("each => each.blur()")
    assert style(switch, "appearance") == "auto"  # the system draws it
    assert switch.screenshot() != off


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
    image, whole = box.locator("img"), box.get_by_role("button", name="True size")
    fitted = image.bounding_box()
    assert fitted["y"] >= 0
    assert fitted["y"] + fitted["height"] <= 900  # all of it is seen first
    image.click()
    assert (image.bounding_box()["width"], whole.get_attribute("aria-pressed")) == (1024, "true")
    whole.click()
    assert image.bounding_box() == fitted
    box.get_by_role("button", name="Next").focus()
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
    from report.command.serve import Server

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
        ("spin", "unknown control 'spin'; known: slide, wipe, flip, rotate, invert, rearrange, distance, loupe"),
        ("wipe", "`wipe` takes 1 to 3 names, not 0"),
        ("wipe: noisy, sharp", "two columns of 1.2-blur, which are: noisy, blurred; $t = 250$, $t = 500$"),
        ("wipe: 1.3-one", "there is no figure 1.3-one"),
        ("slide", "`slide` needs a figure of one row; 1.2-blur has 2"),
        ("flip: show, row", "`flip`: no field 'row'; the cases of 1.2-blur have: show, t"),
        ("distance: t, show", "`distance` needs the same readings in all panels; 't' differs in 1.2-blur"),
        ("distance: far, t", "`distance`: no field 'far'; the cases of 1.2-blur have: show, t"),
        ("loupe", "`loupe` needs panels of different sizes"),
        ("columns: $t = 251$", "no panel of 1.2-blur is called '$t = 251$'; its columns are: $t = 250$, $t = 500$"),
        ("values: lpips", "no panel of 1.2-blur found 'lpips'; found there: psnr, ssim"),
        ("loupe | slide", "a figure has one control, one `values: …` and one `columns: …`"),
        ("values: psnr | values: ssim", "a figure has one control, one `values: …` and one `columns: …`"),
        ("", "`/// fig` must have the form `/// fig | 1.2-blur` or `/// fig | 1.2-blur | control`"),
    ],
)
def test_a_control_that_would_not_show_the_truth_is_refused(tmp_path, wish, told):
    fixture.folder(tmp_path)
    section(tmp_path, "1.2", {"blur": fixture.blurred()})
    prose(tmp_path, "part_1_2", f"/// fig | 1.2-blur | {wish}\n///\n")
    with pytest.raises(BuildError) as caught:
        build(tmp_path)
    assert str(caught.value).startswith("report/writeup/part_1_2.md:1: ")
    assert told in str(caught.value)


def test_only_what_is_turned_over_can_be_flipped(tmp_path):
    fixture.folder(tmp_path)
    panels = fixture.two_ways("upright", "flipped")
    panels[3]["image"] = fixture.picture(99)
    section(tmp_path, "1.8", {"one": panels})
    prose(tmp_path, "part_1_8", "/// fig | 1.8-one | flip: one, other\n///\n")
    with pytest.raises(BuildError, match=r"`flip`: panel 4 of 1\.8-one is not panel 2 flipped"):
        build(tmp_path)


def pieces(image):
    """The left half of an image and its right half, each in the other's place."""
    half = image.width // 2
    swapped = Image.new("RGB", image.size)
    swapped.paste(image.crop((half, 0, image.width, image.height)), (0, 0))
    swapped.paste(image.crop((0, 0, half, image.height)), (half, 0))
    return swapped


VIEWS = {  # control: a view that it performs
    "flip": ImageOps.flip,
    "rotate": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "invert": ImageOps.invert,
    "rearrange": pieces,
}


@pytest.mark.parametrize("kind", VIEWS)
def test_a_figure_names_the_view_that_made_it_and_no_other(tmp_path, kind):
    fixture.folder(tmp_path)
    section(tmp_path, "1.8", {"one": fixture.two_ways("as it is", "seen", view=VIEWS[kind])})
    prose(tmp_path, "part_1_8", f"/// fig | 1.8-one | {kind}: one, other\n///\n")
    html = build(tmp_path).read_text()
    assert re.search(r'<figure class="[^"]* sets"', html)
    for other in VIEWS.keys() - {kind, "rearrange"}:
        prose(tmp_path, "part_1_8", f"/// fig | 1.8-one | {other}: one, other\n///\n")
        with pytest.raises(BuildError, match=rf"`{other}`: panel 3 of 1\.8-one is not panel 1 "):
            build(tmp_path)


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.parametrize("off", [1, 2])
def test_only_a_negative_may_be_off_and_by_the_rounding_of_one_level(tmp_path, kind, off):
    fixture.folder(tmp_path)
    almost = lambda image: VIEWS[kind](image).point(lambda value: min(value + off, 255))  # noqa: E731
    section(tmp_path, "1.8", {"one": fixture.two_ways("as it is", "seen", view=almost)})
    prose(tmp_path, "part_1_8", f"/// fig | 1.8-one | {kind}: one, other\n///\n")
    if (kind, off) == ("invert", 1):
        build(tmp_path)
    else:
        with pytest.raises(BuildError, match=rf"`{kind}`: panel 3 of 1\.8-one is not panel 1 "):
            build(tmp_path)


def test_a_picture_that_is_not_of_the_same_pixels_is_not_rearranged(tmp_path):
    fixture.folder(tmp_path)
    section(tmp_path, "1.8", {"one": fixture.two_ways("as it is", "seen", view=ImageOps.invert)})
    prose(tmp_path, "part_1_8", "/// fig | 1.8-one | rearrange: one, other\n///\n")
    with pytest.raises(BuildError, match=r"`rearrange`: panel 3 of 1\.8-one is not panel 1 rearranged"):
        build(tmp_path)


def test_panels_wiped_against_each_other_have_the_same_seeds(tmp_path):
    fixture.folder(tmp_path)
    section(tmp_path, "1.2", {"one": [panel("a", seeds=[42])], "two": [panel("a", seeds=[43])]})
    prose(tmp_path, "part_1_2", "/// fig | 1.2-one\n///\n\n/// fig | 1.2-two | wipe: 1.2-one\n///\n")
    with pytest.raises(BuildError, match=r"part_1_2\.md:4: `wipe`: the panels of 1\.2-one have other seeds"):
        build(tmp_path)
