"""Whether anything has changed since all was last drawn and built, so that nothing of it need be done again.

Files count by what the system knows of them without reading: path, size, inode, and when content and attributes last
changed. A changed file that would pass has the same in all of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from generators import models
from generators.records import files
from generators.records.errors import ModelError

from ..page.reconcile import KEPT

CODE = Path(__file__).parents[2]  # which runs; in tests, not where it builds


class Unchanged:
    """What the page of a model depends on, from the start of a command on, and what was told when all was last done.

    The note of that lies in .cache and may be deleted at any time.
    """

    def __init__(self, root: Path, model: str) -> None:
        self._root, self.model = root.resolve(), model
        self._note = self._root / ".cache" / "built.json"
        self._begun = self._sources()

    def told(self, drawn: bool = False) -> list[str] | None:
        """Returns what was told of the page when it was last built; None if that must be done again. drawn: whether
        every section must be known to be up to date, too."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(self._note.read_text(encoding="utf-8"))
            if [note["before"], note["site"]] == [self.state(), self._site()] and (note["drawn"] or not drawn):
                return [str(line) for line in note["lines"]]
        return None

    def state(self) -> str | None:
        """Returns a digest of what a build reads; None if that is not what it was when the command began, whose code
        may then be another, or if nobody can tell."""
        sources = self._sources()
        if sources is None or sources != self._begun:
            return None
        drawn = self._root / ".report" / self.model
        sections = [path for path in drawn.glob("[!.]*") if path.is_dir()]
        return _digest([sources, *(line for line in _states(sections) if KEPT not in line)])

    def keep(self, state: str | None, lines: list[str], drawn: bool) -> None:
        """Notes that the site has been built, from what `state` told of before that."""
        if state is not None and state == self.state():
            note = {"before": state, "site": self._site(), "drawn": drawn, "lines": lines}
            with suppress(OSError):
                files.write(self._note, json.dumps(note), synced=False)

    def _sources(self) -> str | None:
        """Returns a digest of the code, the prose, the weights and the installed packages; None if weights cannot be
        told apart by their folder."""
        with suppress(ModelError, OSError):
            if weights := models.folder(self.model):
                folders = [base / name for base in {self._root, CODE} for name in ("generators", "report", "templates")]
                places = [*sorted(folders), weights, self._root / "CITATION.cff"]
                return _digest([self.model, sys.version, *_states(places), *self._packages()])
        return None

    def _packages(self) -> list[str]:
        """Returns the states of the installed packages as wholes: another version is another folder."""
        folders = [Path(folder) for folder in sys.path if Path(folder).resolve() not in (self._root, CODE)]
        return [_state(path) for folder in folders for path in sorted(folder.glob("*")) if path.name != "__pycache__"]

    def _site(self) -> str:
        return _digest(_states([self._root / "site"]))


def _states(places: Iterable[Path]) -> list[str]:
    """Returns the states of these files and of all in these folders, but byte code."""
    found = []
    for place in places:
        for folder, folders, names in os.walk(place, followlinks=True):
            folders[:] = [name for name in folders if name != "__pycache__"]
            found += [_state(os.path.join(folder, name)) for name in names]  # noqa: PTH118  faster than paths
        if not place.is_dir():
            found.append(_state(place))
    return sorted(found)


def _state(path: str | Path) -> str:
    try:
        of = os.stat(path)  # noqa: PTH116  of a text too
    except OSError:
        return f"{path} none"
    return f"{path} {of.st_size} {of.st_ino} {of.st_mtime_ns} {of.st_ctime_ns}"


def _digest(lines: Iterable[str | None]) -> str:
    return hashlib.sha256("\n".join(map(str, lines)).encode(errors="surrogateescape")).hexdigest()
