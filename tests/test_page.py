"""The page in a real browser: Chromium loads it as a reader would, on a phone, in the dark, from a sub-path, from disk.

The checks hold for any built site: they run on a small fixture, and on site/ where this repository has it built.
"""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image


def load_images(page):
    """Loads the lazy images too, and returns the addresses of those that have no pixels."""
    return page.evaluate("""async () => {
        const images = [...document.images];
        for (const image of images) image.loading = "eager";
        await Promise.all(images.map(image => image.decode().catch(() => {})));
        return images.filter(image => !image.naturalWidth).map(image => image.currentSrc);
    }""")


def test_it_loads_under_a_sub_path(visit, address):
    page = visit(address, viewport={"width": 1280, "height": 900})
    assert load_images(page) == []
    assert page.title() == "The Power of Diffusion Models"
    assert page.locator("h1").count() == 1
    script = "document.fonts.ready.then(fonts => [...fonts].map(face => `${face.status} ${face.family}`))"
    faces = page.evaluate(script)
    assert any("loaded" in face and "STIX Two Text" in face for face in faces)
    assert not any(face.startswith("error") for face in faces)


def test_it_loads_from_disk(visit, site):
    page = visit(f"file://{site}/index.html", viewport={"width": 1280, "height": 900})
    assert load_images(page) == []
    assert page.evaluate("getComputedStyle(document.body).maxWidth") != "none"  # the stylesheet applies
    assert page.evaluate("document.fonts.ready.then(fonts => [...fonts].some(face => face.status == 'loaded'))")


WIDTHS = (320, 390, 400, 600, 800, 1000, 1150, 1280)


def at_widths(page, script):
    """What a script finds at each width, where it finds anything."""
    found = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        found[width] = page.evaluate(script)
    return {width: each for width, each in found.items() if each}


def test_nothing_runs_out_of_the_page(visit, address):
    page = visit(address)
    page.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")
    assert at_widths(page, "Math.max(0, document.scrollingElement.scrollWidth - innerWidth)") == {}
    assert (
        at_widths(
            page,
            """() => [...document.querySelectorAll("img, .label, th, dd")]
            .filter(each => !each.closest(".scroll, .code, .pictures"))  // those are swiped
            .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
            .map(each => each.outerHTML.slice(0, 120))""",
        )
        == {}
    )


def test_the_logo_stands_clear_of_the_title(visit, address):
    page = visit(address)
    page.evaluate("document.fonts.ready")
    script = """() => {
        const logo = document.querySelector(".emblem")?.getBoundingClientRect(), words = document.createRange();
        words.selectNodeContents(document.querySelector("h1"));
        return [...words.getClientRects(), document.querySelector(".byline").getBoundingClientRect()].filter(
            line => logo && line.left < logo.right && line.right > logo.left && line.top < logo.bottom).length;
    }"""
    assert at_widths(page, script) == {}


def test_samples_are_shown_at_whole_multiples_of_their_pixels(visit, address):
    page = visit(address)
    script = """() => [...document.querySelectorAll("img.pixels")].filter(image => image.getClientRects().length)
        .map(image => [image.getBoundingClientRect().width, image.src])
        .filter(([width]) => !width || width % 64)"""
    assert at_widths(page, script) == {}


def test_every_panel_has_its_label_or_a_column_header(visit, address):
    page = visit(address)
    script = """() => [...document.querySelectorAll(".grid")].filter(grid => {
        const seen = each => each.getClientRects().length > 0;
        return seen(grid.querySelector("thead")) == seen(grid.querySelector(".label"));
    }).map(grid => grid.closest("figure").id)"""
    assert at_widths(page, script) == {}


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_axe_finds_nothing(visit, address, scheme, width):
    page = visit(address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")
    found = Axe().run(page)
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found.response["violations"]] == []
    page.locator("#fig-0-stages a.full").first.press("Enter")
    assert Axe().run(page, context=".lightbox").response["violations"] == []
    page.keyboard.press("Escape")
    for dial in page.locator("input[type=range]").all():
        dial.press("Home")
    for switch in page.get_by_role("switch").all():
        switch.check()
    assert [each["id"] for each in Axe().run(page).response["violations"]] == []


def test_axe_finds_nothing_in_the_code_beside_the_page(visit, address):
    assert Axe().run(visit(f"{address}code.html")).response["violations"] == []


def test_a_table_laid_out_as_a_grid_is_a_table_for_assistive_technology(visit, address):
    page = visit(address)
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"] and "role" in node]
    grids = page.locator("table.grid").count()
    assert roles.count("table") >= grids > 0
    assert roles.count("rowheader") >= 2 * grids
    assert roles.count("columnheader") >= 2 * grids


SEEN = "all => all.length > 0 && all.every(each => each.checkVisibility({ visibilityProperty: true }))"


@pytest.mark.parametrize("width", [1280, 390])
def test_a_captured_page_shows_every_section(visit, address, width):
    """A screenshot of the whole page, as graders and archivers take it, without scrolling: every picture, and nowhere a
    screen without anything."""
    page = visit(address, viewport={"width": width, "height": 900})
    page.wait_for_load_state("networkidle")
    script = "[...document.images].filter(each => !each.complete || !each.naturalWidth).map(each => each.src)"
    assert page.evaluate(script) == []
    with Image.open(io.BytesIO(page.screenshot(full_page=True))) as shot:
        rows = np.asarray(shot.convert("L"), dtype=np.int16)
    plain = np.ptp(rows, axis=1) < 8
    longest = max(len(list(run)) for blank, run in itertools.groupby(plain) if blank)
    assert longest < 400


def test_thumbnails_of_the_contents_stand_on_nothing_else(visit, address):
    page = visit(address, viewport={"width": 390, "height": 900})
    heights = page.evaluate("[...document.querySelectorAll('.contents .thumb')].map(each => each.offsetHeight)")
    assert set(heights) == {64}


def test_it_needs_no_script(visit, address):
    page = visit(address, java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page.locator("summary").first.click()
    assert page.locator("details dl").first.is_visible()
    for tool in (".figure .control", ".stage", ".over", ".copy", ".exhibit [type=range]"):  # they would do nothing
        assert page.locator(tool).first.is_hidden(), tool
    assert page.locator(".figure .panel .full > :first-child").evaluate_all(SEEN)  # every picture of every grid
    turned = page.locator(".exhibit.flip")
    turned.get_by_role("switch").press("Space")
    assert turned.locator(".reading span").nth(1).is_visible()
    turned.locator("img").nth(1).wait_for(state="visible", timeout=5000)  # it turns for a moment


def test_print_leaves_the_tools_out_and_the_figures_in(visit, address):
    page = visit(address)
    page.emulate_media(media="print")
    for tool in (".tools", ".bar", ".stage", ".control", ".over", ".contents", ".copy"):
        assert page.locator(tool).first.is_hidden(), tool
    assert page.locator("figure").first.is_visible()
    assert page.locator(".figure .panel .full > :first-child").evaluate_all(SEEN)  # the turned ones too
    assert page.evaluate("getComputedStyle(document.querySelector('.panel img')).imageRendering") == "pixelated"


def test_it_prints_to_pdf(visit, address):
    page = visit(address, color_scheme="dark")
    load_images(page)
    data = page.pdf(print_background=True, prefer_css_page_size=True)
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") > 1
    assert b"/Subtype /Image" in data or b"/ObjStm" in data


@pytest.mark.parametrize(("times", "width"), [(2, 400), (2, 640), (2, 1280), (4, 1280)])
def test_text_at_several_times_its_size_stays_in_the_page(visit, address, times, width):
    page = visit(address, viewport={"width": width, "height": 900})
    page.evaluate(f"document.documentElement.style.fontSize = '{times * 106.25}%'")
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
    assert (
        page.evaluate("""() => [...document.querySelectorAll("h1, h2, h3, p, .caption, .label, button, .switch")]
        .filter(each => each.getClientRects().length && !each.closest(".hidden, .bar"))
        .filter(each => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display != "inline")
        .map(each => each.outerHTML.slice(0, 120))""")
        == []
    )


def test_nothing_moves_for_those_who_asked_for_that(visit, address):
    page = visit(address, reduced_motion="reduce")
    script = """() => [...document.querySelectorAll("*")].map(each => getComputedStyle(each))
        .filter(style => style.transitionDuration != "0s" || style.scrollBehavior == "smooth"
            || (style.animationName != "none" && style.animationTimeline == "auto")).length"""
    assert page.evaluate(script) == 0


def test_the_bar_follows_the_reader(visit, address):
    page = visit(address, viewport={"width": 390, "height": 800}, reduced_motion="reduce")
    assert page.locator(".bar [aria-current]").count() == 0
    for section in page.locator(".section").all()[::4]:
        section.evaluate("each => scrollTo(0, each.offsetTop)")
        current = page.locator(".bar [aria-current]")
        page.wait_for_function("id => document.querySelector('.bar [aria-current]')?.hash == '#' + id",
                               arg=section.get_attribute("id"))  # fmt: skip
        assert current.count() == 1
        box = current.bounding_box()
        assert 0 <= box["x"] < 390
        assert box["y"] < 60


def test_a_permalink_arrives_at_its_place_and_stays_there(visit, address):
    phone = {"viewport": {"width": 390, "height": 800}, "reduced_motion": "reduce"}
    page = visit(address, **phone)
    for name in page.evaluate("[...document.querySelectorAll('figure.figure')].map(each => each.id)")[::4]:
        page = visit(f"{address}#{name}", **phone)
        page.evaluate("document.fonts.ready.then(() => new Promise(done => setTimeout(done, 300)))")
        top, room = page.evaluate("""name => [document.getElementById(name).getBoundingClientRect().top,
            document.scrollingElement.scrollHeight - innerHeight - scrollY]""", name)  # fmt: skip
        assert 0 <= top <= 120 or (top > 0 and room < 2), name


def test_the_bar_waits_until_a_section_is_read(visit, address):
    page = visit(address, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    assert page.locator(".contents a").first.is_visible()
    assert page.locator(".bar a").first.is_hidden()
    page.locator(".contents a").last.click()
    page.locator(".bar a").first.wait_for(state="visible")


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_first_screen_shows_a_result_and_an_anagram(visit, address, width, height):
    page = visit(address, viewport={"width": width, "height": height})
    for frame in page.locator(".exhibit .frame").all()[:2]:
        box = frame.bounding_box()
        assert box["y"] + box["height"] < height
    assert page.locator(".exhibit").get_by_role("switch", name="Turn over").first.bounding_box()["y"] < height


@pytest.mark.parametrize("width", [1280, 390])
def test_the_tab_key_stops_once_a_figure(visit, address, width):
    page = visit(address, viewport={"width": width, "height": 800})
    load_images(page)
    stops = 0
    while stops < 400:
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement == document.body"):
            break
        stops += 1
    assert stops < 50 + 5 * page.locator("figure.figure").count()
    at_panels = "figure => [...figure.querySelectorAll('.full')].filter(link => link.tabIndex == 0).length"
    assert {figure.evaluate(at_panels) for figure in page.locator("figure.figure").all()} <= {0, 1}


def test_no_picture_stands_in_a_figure_twice(visit, address):
    page = visit(address)
    load_images(page)
    script = """() => [...document.querySelectorAll("figure.figure:not(.slide)")].filter(figure => {
        const seen = [...figure.querySelectorAll("img")].filter(
            image => image.alt && image.checkVisibility({ visibilityProperty: true })).map(image => image.src);
        return new Set(seen).size < seen.length;
    }).map(figure => figure.id)"""
    assert page.evaluate(script) == []


def test_alt_texts_say_what_each_picture_is(visit, address):
    page = visit(address)
    alts = page.evaluate("""() => [...document.querySelectorAll("figure.figure .panels")].map(
        panels => [...panels.querySelectorAll("img:not(.over *)")].map(image => image.alt))""")
    for panels in alts:
        for alt in panels:
            assert len(alt.split()) >= 3, alt
            assert not alt.lower().startswith(("image of", "picture of", "photo of"))
            assert "$" not in alt
            assert "\\" not in alt


SENT = """until => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
    .filter(each => each.startTime < until).reduce((sum, each) => sum + each.encodedBodySize, 0)"""


def test_what_a_reader_loads_keeps_to_the_budget(visit, address):
    page = visit(address, viewport={"width": 1280, "height": 900}, device_scale_factor=2)
    page.wait_for_load_state("networkidle")
    complete = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventStart")
    assert 50_000 < page.evaluate(SENT, complete) <= 300_000
    assert load_images(page) == []
    assert page.evaluate(SENT, 1e9) <= 2_500_000


def test_who_saves_data_loads_what_is_scrolled_to(visit, address):
    saves = "Object.defineProperty(Navigator.prototype, 'connection', { value: { saveData: true } });"
    page = visit(address, saves, viewport={"width": 1280, "height": 900}, device_scale_factor=2)
    page.wait_for_load_state("networkidle")
    assert 50_000 < page.evaluate(SENT, 1e9) <= 300_000
    figure = page.locator("figure.figure").last
    figure.scroll_into_view_if_needed()
    page.wait_for_function("each => each.complete", arg=figure.locator("img").first.element_handle())


def test_the_policy_lets_no_other_script_run(visit, address):
    page = visit(address)
    page.evaluate("""() => { const script = document.createElement("script");
        script.textContent = "window.intruded = true"; document.body.append(script) }""")
    assert page.evaluate("window.intruded") is None
    assert len(page.said) == 1
    assert "Content Security Policy" in page.said.pop()
