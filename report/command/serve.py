"""`report serve`: serves the page on this machine, and rebuilds and reloads it when one of its sources changes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
from watchfiles import Change, DefaultFilter, watch

from generators.records.errors import ReportError
from generators.records.texts import SECTION

TREES = (".report", "generators", "report", "templates")
KINDS = (  # of files in code: those that are quoted, report.toml, and the model's card with its pictures
    ".py",
    ".toml",
    ".md",
    ".svg",
    ".webp",
)
RELOAD = b'new EventSource("/reload").onmessage = () => location.reload();'


class Server(ThreadingHTTPServer):
    """Serves a site on localhost; served pages reload after `rebuilt`. The files on disk are unchanged."""

    def __init__(self, site: Path, port: int) -> None:
        self.site = site
        self.change = threading.Condition()
        super().__init__(("localhost", port), _Handler)

    def rebuilt(self) -> None:
        with self.change:
            self.change.notify_all()


class _Handler(SimpleHTTPRequestHandler):
    server: Server

    def __init__(self, request: object, address: object, server: Server) -> None:
        super().__init__(request, address, server, directory=str(server.site))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.path == "/reload":
            self._tell()
        elif self.path == "/reload.js":
            self._send("text/javascript", RELOAD)
        elif self.path in ("/", "/index.html"):
            page = (self.server.site / "index.html").read_bytes()
            self._send(
                "text/html; charset=utf-8", page.replace(b"</head>", b'<script src="/reload.js"></script></head>')
            )
        else:
            super().do_GET()

    def _tell(self) -> None:
        """Sends one event after each rebuild until the browser disconnects; a keep-alive in between detects that."""
        self._head("text/event-stream")
        try:
            while True:
                with self.server.change:
                    changed = self.server.change.wait(timeout=10)
                self.wfile.write(b"data: rebuilt\n\n" if changed else b": \n\n")
        except OSError:
            self.close_connection = True

    def _send(self, kind: str, content: bytes) -> None:
        self._head(kind)
        self.wfile.write(content)

    def _head(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # a reload shows the last build
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Suppresses the request log, so that rebuilds stay visible."""


class _Sources(DefaultFilter):
    """Whether a change may alter the page: of prose, templates and code, and of the records of a model.

    A section's folder is renamed into its place, so it is told of as a whole; the builder's own files beside it are not
    of interest, and neither are those of a drawing that goes on.
    """

    def __init__(self, root: Path, model: str) -> None:
        super().__init__()
        self.drawn, self.model = root / ".report", model
        self.whole = [(root / name).resolve() for name in ("templates", "report/writeup")]

    def __call__(self, change: Change, path: str) -> bool:
        place = Path(path)
        if place.is_relative_to(self.drawn):
            if place == self.drawn:
                return change == Change.deleted
            model, section, *_ = (*place.relative_to(self.drawn).parts, "", "")
            # What is made at once with the model's folder is told of as that folder only.
            return model == self.model and (not section or re.fullmatch(SECTION, section) is not None)
        known = place.suffix in KINDS or any(place.is_relative_to(folder) for folder in self.whole)
        return known and super().__call__(change, path)


def changes(root: Path, model: str, stop: threading.Event | None = None) -> Iterator[None]:
    """Yields after changes of the page's sources, until `stop` is set. Whole trees are watched, because what is
    in them is replaced and new; a tree that was itself replaced is watched anew."""
    root = root.resolve()
    matters = _Sources(root, model)
    while stop is None or not stop.is_set():
        (root / ".report").mkdir(exist_ok=True)
        trees = [(root / name).resolve() for name in TREES]
        before = [tree.stat().st_ino for tree in trees]
        for found in watch(
            *trees,
            watch_filter=matters,
            stop_event=stop,
            rust_timeout=1000,
            yield_on_timeout=True,
            raise_interrupt=True,
        ):
            gone = any((Change.deleted, str(tree)) in found for tree in trees)  # the next may have the same number
            replaced = gone or [tree.stat().st_ino if tree.exists() else 0 for tree in trees] != before
            if found or replaced:
                yield
            if replaced:
                break


def serve(root: Path, port: int, model: str, rebuild: Callable[[], None]) -> None:
    """Builds, then serves site/ on localhost until Ctrl-C. A failed build prints its problems and keeps the
    last page."""
    rebuild()
    with Server(root / "site", port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        click.echo(f"http://localhost:{server.server_port}/  (Ctrl-C ends)")
        for _ in changes(root, model):
            try:
                rebuild()
            except ReportError as error:
                click.echo(f"report: {error}", err=True)
            else:
                server.rebuilt()
