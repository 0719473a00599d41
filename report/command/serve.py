"""`report serve`: serves the page on this machine, and rebuilds and reloads it when one of its sources changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
from watchfiles import watch

from generators.records.errors import BuildError

from ..page.builder import sources

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


def serve(root: Path, port: int, rebuild: Callable[[], None]) -> None:
    """Builds, then serves site/ on localhost until Ctrl-C. A failed build prints its problems and keeps the
    last page."""
    rebuild()
    with Server(root / "site", port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        click.echo(f"http://localhost:{server.server_port}/  (Ctrl-C ends)")
        for _ in watch(*{path.parent for path in sources(root)}, raise_interrupt=True):
            try:
                rebuild()
            except BuildError as error:
                click.echo(f"report: {error}", err=True)
            else:
                server.rebuilt()
