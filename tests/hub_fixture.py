"""A Hugging Face Hub on this machine: the few answers that fetching a repository takes, and its refusals."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"  # where `main` is


class Hub(http.server.ThreadingHTTPServer):
    """repositories: by id, the folder of the files and the commits that there are. refusals: by id, (status, code).

    asked: the paths of the files that were sent.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories: dict[str, tuple[Path, set[str]]] = {}
        self.refusals: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(http.server.BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        path = unquote(urlparse(self.path).path).strip("/").removeprefix("api/models/").split("/")
        name, rest = "/".join(path[:2]), path[2:]
        if name in self.server.refusals and rest[:1] != ["revision"]:  # what a gated repository has is not secret
            status, code = self.server.refusals[name]
            return self._send(status, b"{}", {"X-Error-Code": code}, body)
        if name not in self.server.repositories:
            return self._send(404, b"{}", {}, body)
        folder, commits = self.server.repositories[name]
        if rest == ["auth-check"]:
            return self._send(200, b"{}", {}, body)
        commit = COMMIT if rest[1] == "main" else rest[1]
        if commit not in commits:
            return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, body)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        if rest[0] == "revision":
            siblings = [{"rfilename": str(file.relative_to(folder)), "size": file.stat().st_size} for file in files]
            answer = {"id": name, "sha": commit, "siblings": siblings}
            return self._send(200, json.dumps(answer).encode(), {}, body)
        if rest[0] == "tree":
            answer = [
                {
                    "type": "file",
                    "path": str(file.relative_to(folder)),
                    "size": file.stat().st_size,
                    "oid": digest(file),
                }
                for file in files
            ]
            return self._send(200, json.dumps(answer).encode(), {}, body)
        file = folder.joinpath(*rest[2:])
        self.server.asked += [f"{name}/{'/'.join(rest[2:])}"] if body else []
        return self._send(200, file.read_bytes(), {"ETag": f'"{digest(file)}"', "X-Repo-Commit": commit}, body)

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


def digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
