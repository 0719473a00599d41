"""Texts that take long to compute, kept in a file by what they are computed from. The file may be deleted at any time.

A function of texts is marked with `kept`, and its results are kept in the block of a `keeping`.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache, wraps
from importlib.metadata import version
from pathlib import Path

from . import files


def digest(*content: str | bytes) -> str:
    """Returns the SHA-256 over texts and bytes, each with its length."""
    total = hashlib.sha256()
    for part in content:
        data = part.encode() if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode() + data)
    return total.hexdigest()


class Kept:
    """The texts in a file, by key. A missing or damaged file has none, and one that cannot be written stays as it is.

    basis: what all of them depend on besides their keys, such as the code that computes them; texts of another basis
    are forgotten.
    """

    def __init__(self, path: Path, basis: str) -> None:
        self._path, self._basis = path, basis
        self._known: dict[str, str] = {}
        self._used: dict[str, str] = {}
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["basis"] == basis:
                self._known = {str(key): str(text) for key, text in found["texts"].items()}

    def find(self, key: str, compute: Callable[[], str]) -> str:
        """Returns the text of this key, computed if it is not known."""
        self._used[key] = self._known[key] if key in self._known else compute()
        return self._used[key]

    def save(self, only_used: bool = False) -> None:
        """Writes the file if it has changed; only_used: without the texts that nobody has asked for."""
        texts = self._used if only_used else {**self._known, **self._used}
        if texts != self._known:
            with suppress(OSError):
                files.write(self._path, json.dumps({"basis": self._basis, "texts": texts}), synced=False)
            self._known = dict(texts)


_open: ContextVar[Kept | None] = ContextVar("_open", default=None)


@contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Keeps the results of functions marked with `kept`, called in this block, in a file until the next such block."""
    texts = Kept(path, sys.version)
    token = _open.set(texts)
    try:
        yield
        texts.save(only_used=True)
    finally:
        _open.reset(token)


def kept(*libraries: str) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Marks a function of texts whose result is a text that depends on nothing but them, the code of its module, and
    these libraries."""

    def marked(compute: Callable[..., str]) -> Callable[..., str]:
        @cache
        def code() -> str:
            module = Path(inspect.getfile(compute)).read_bytes()
            return digest(module, compute.__qualname__, *(f"{name} {version(name)}" for name in libraries))

        @wraps(compute)
        def found(*content: str) -> str:
            texts = _open.get()
            return texts.find(digest(code(), *content), lambda: compute(*content)) if texts else compute(*content)

        return found

    return marked
