"""The page in a real browser: Chromium loads it as a reader would, on a phone, in the dark, from a sub-path, from disk.

The checks hold for any built site: they run on a small fixture, and on site/ where this repository has it built.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from pathlib import Path

import page_fixture as fixture
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from report.builder import build

BUILT = fixture.REPO / "site"
HERE = ["fixture"] + (["site"] if (BUILT / "index.html").is_file() else [])
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.fail("the page's tests need Chromium: `apt-get install chromium`, or your system's package of it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The fixture's site, built once for all the tests here. Grids to download have their own test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("report.grids.compose", lambda figure, images: b"grid")
        return build(fixture.report(tmp_path_factory.mktemp("page") / "report")).parent


@pytest.fixture(scope="module", params=HERE)
def site(request, built):
    return built if request.param == "fixture" else BUILT


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(site, tmp_path_factory):
    """The site, served under /repo/ as GitHub Pages would."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "repo").symlink_to(site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/repo/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(browser):
    """visit(address, **context) opens a page; in the end it must have been quiet and asked its own origin only."""
    contexts = []

    def open_page(address, **context):
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        origin = address[: address.find("/", 8)] if address.startswith("http") else str(Path(address[7:]).parent)
        page.on("console", lambda line: line.type in ("error", "warning") and page.said.append(line.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("requestfailed", lambda request: page.said.append(f"failed: {request.url}"))
        page.on("response", lambda answer: answer.ok or page.said.append(f"{answer.status}: {answer.url}"))
        page.on("request", lambda asked: origin in asked.url or page.said.append(f"asked elsewhere: {asked.url}"))
        page.said = []
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        said = [text for page in context.pages for text in page.said]
        context.close()
        assert said == []


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


WIDTHS = (320, 390, 600, 800, 1000, 1150, 1280)


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
            .filter(each => !each.closest(".scroll, .code"))
            .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
            .map(each => each.outerHTML.slice(0, 120))""",
        )
        == {}
    )


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


def test_it_needs_no_script(visit, address):
    page = visit(address, java_script_enabled=False)
    page.locator("summary").first.click()
    assert page.locator("details dl").first.is_visible()


def test_print_leaves_the_tools_out(visit, address):
    page = visit(address)
    page.emulate_media(media="print")
    assert page.locator("details").first.is_hidden()
    assert page.locator("figure").first.is_visible()


def test_the_first_screen_and_the_whole_page_keep_to_their_budget(site):
    html = (site / "index.html").stat().st_size
    static = sum(path.stat().st_size for path in (site / "static").iterdir())
    assert html + static < 500_000
    scripts = sum(path.stat().st_size for path in (site / "static").glob("*.js"))
    assert scripts <= 5_000
