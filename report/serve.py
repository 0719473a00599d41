"""`report serve`: the page on this machine, rebuilt when something that it is made of changes."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
from watchfiles import watch

from .builder import BuildError, sources


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """No line for each request: the rebuilds are what one wants to see."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # a reload shows the last build
        super().end_headers()


def serve(root: Path, port: int, rebuild: Callable[[], None]) -> None:
    """Build, then serve site/ on localhost until Ctrl-C. A build that fails says why and leaves the last page."""
    rebuild()
    handler = functools.partial(_Quiet, directory=str(root / "site"))
    with ThreadingHTTPServer(("localhost", port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        click.echo(f"http://localhost:{server.server_port}/  (Ctrl-C ends)")
        for _ in watch(*{path.parent for path in sources(root)}, raise_interrupt=True):
            try:
                rebuild()
            except BuildError as error:
                click.echo(f"report: {error}", err=True)
