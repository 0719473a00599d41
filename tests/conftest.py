"""What several test files share: a tiny model, and the page in a browser."""

import functools
import gzip
import http.server
import io
import os
import signal
import threading
from pathlib import Path

import page_fixture as fixture
import pytest
from filelock import FileLock

BUILT = fixture.REPO / "site"
HERE = ["fixture"] + (["site"] if (BUILT / "index.html").is_file() else [])
# A shell that starts the tests in the background has Ctrl-C ignored, and so has every process that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


# The files whose tests take longest, the longest first: what begins last must be short, or other processes wait for it.
LONGEST = (
    *(
        "test_slurm",
        "test_page",
        "test_deepfloyd",
        "test_notebook",
        "test_deepfloyd_report",
        "test_cli",
        "test_resume",
        "test_bench",
    ),
    *("test_text_projections", "test_workers", "test_controls", "test_definitions", "test_bad_input", "test_verify"),
)


def pytest_collection_modifyitems(items):
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONGEST)))


def made_once(tmp_path_factory, name, make):
    """Returns the folder that make(folder) fills, once for all processes of a run."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    with FileLock(root / f"{name}.lock"):
        if not (root / name).exists():
            make(root / f"{name}.new")
            (root / f"{name}.new").rename(root / name)
    return root / name


@pytest.fixture(scope="session")
def tiny_pocket(tmp_path_factory):
    """The folder of a pocket of random weights, which `models.load("pocket")` loads from then on.

    Its network is the shipped one's in small: the same classes, saved and loaded through the same files.
    """
    from generators.running import staleness

    folder = made_once(tmp_path_factory, "tiny-pocket", save_tiny_pocket)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POCKET_WEIGHTS", str(folder))
        staleness.weights_digest.cache_clear()
        yield folder
    staleness.weights_digest.cache_clear()


def save_tiny_pocket(folder):
    import torch

    from generators.models.pocket.cascade import scheduler
    from generators.models.pocket.patches import denoiser
    from generators.models.pocket.super_resolution import network

    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = {
            "transformer": denoiser(layers=1, heads=1),
            "stage_2": network((8, 16), text=True),
            "stage_3": network((8, 16), text=False),
        }
        for part in parts.values():
            for parameter in part.parameters():
                torch.nn.init.normal_(parameter, std=0.1)  # what is made to be trained begins at or near 0
    for name, part in {**parts, "scheduler": scheduler()}.items():
        part.save_pretrained(folder / name)


@pytest.fixture(scope="session")
def random_judge():
    """A judge of random weights that knows what the drawings show."""
    import torch

    from generators.making.judging.labelled import vocabulary
    from generators.making.judging.networks import Residual

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Residual(vocabulary(), width=4).eval()


@pytest.fixture
def judge_seeing():
    """judge_seeing({name: logit}, style, place): a judge that sees these in every image, style and place for sure."""
    import torch

    from generators.making.judging.judge import Output
    from generators.making.judging.labelled import vocabulary
    from generators.making.judging.networks import Residual

    known = vocabulary()

    class Seeing(Residual):
        def __init__(self, logits, style="", place=""):
            super().__init__(known, width=4)
            self.output = Output(
                *(torch.zeros(1, n) for n in (32, *map(len, (known.names, known.styles, known.places))))
            )
            for name, logit in logits.items():
                self.output.names[0, known.number(name)] = logit
            for part, words, word in zip(self.output[2:], (known.styles, known.places), (style, place), strict=True):
                part[0, words.index(word)] = 50 if word else 0

        def predict(self, images):
            return Output(*(part.expand(len(images), -1) for part in self.output))

    return Seeing


@pytest.fixture
def no_icons(monkeypatch):
    """Drawings leave their icons out."""
    from generators.making.drawings import data, scenes, sights

    for module in (data, scenes, sights):
        monkeypatch.setattr(module, "any_icon", lambda *place, **more: "")


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright
    from tools.screenshot import chromium

    path = chromium()
    if path is None:
        pytest.fail("the page's tests need Chromium: `apt-get install chromium`, or your system's package of it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The fixture's site, built once for all the tests. Grids to download have their own test."""
    from report.page.builder import build

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("report.figures.figure_png.compose", lambda *_: b"grid")
            build(fixture.report(folder))

    return made_once(tmp_path_factory, "page", make) / "site"


@pytest.fixture(scope="session", params=HERE)
def site(request, built):
    return built if request.param == "fixture" else BUILT


class Host(http.server.SimpleHTTPRequestHandler):
    """Compresses text, as GitHub Pages does."""

    def send_head(self):
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if self.path.endswith("/") else path
        if path.suffix not in (".html", ".css", ".js") or not path.is_file():
            return super().send_head()
        body = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address(site, tmp_path_factory):
    """The site, served under /repo/ as GitHub Pages would."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "repo").symlink_to(site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Host, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/repo/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(browser):
    """visit(address, script, **context) opens a page, after the script; in the end it must have been quiet and asked
    its own origin only."""
    contexts = []

    def open_page(address, script="", **context):
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        origin = address[: address.find("/", 8)] if address.startswith("http") else str(Path(address[7:]).parent)
        page.on("console", lambda line: line.type in ("error", "warning") and page.said.append(line.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        # A picture whose load is given up for a better width is no failure.
        page.on("requestfailed", lambda request: "ABORTED" in (request.failure or "") or page.said.append(
            f"failed: {request.url} ({request.failure})"))  # fmt: skip
        page.on("response", lambda answer: answer.ok or page.said.append(f"{answer.status}: {answer.url}"))
        page.on("request", lambda asked: origin in asked.url or page.said.append(f"asked elsewhere: {asked.url}"))
        page.said = []
        page.add_init_script(script)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        said = [text for page in context.pages for text in page.said]
        context.close()
        assert said == []
