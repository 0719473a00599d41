"""Errors that stop a build: collected, then reported together, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from generators.records.errors import BuildError, ReportError

USUAL = "pocket"  # the model of a command without --model


def run(command: str, model: str) -> str:
    """Advises to run a subcommand for a model: run `report section 1.1 --model deepfloyd`."""
    return f"run `report {command}{'' if model == USUAL else f' --model {model}'}`"


def some(names: Sequence[str], most: int = 3) -> str:
    """Lists the first names, and the number of the others: a, b, c and 2 more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


class Problems:
    """Collects problems so that one build reports all of them; `check` raises BuildError if there are any.

    notices: what the author should know although the page is whole.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lines: list[str] = []
        self.notices: list[str] = []
        self._place: tuple[Path, int | None] = (root, None)

    def add(self, path: Path, line: int | None, text: str) -> None:
        """Adds a problem. path: the file to open. line: counted from 1, or None for the whole file."""
        self._add(self.lines, path, line, text)

    def notice(self, text: str) -> None:
        """Adds a notice about the place that is being read; see `at`."""
        self._add(self.notices, *self._place, text)

    @contextmanager
    def at(self, path: Path, line: int | None) -> Iterator[None]:
        """Notices in the block are about this place."""
        before, self._place = self._place, (path, line)
        try:
            yield
        finally:
            self._place = before

    def _add(self, entries: list[str], path: Path, line: int | None, text: str) -> None:
        place = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        text = text.replace("\n", " ")
        entry = f"{place}:{line}: {text}" if line else f"{place}: {text}"
        if entry not in entries:
            entries.append(entry)

    @contextmanager
    def collected(self, path: Path, kind: type[ReportError]) -> Iterator[None]:
        """Adds an error of this kind, raised in the block, as a problem of a file."""
        try:
            yield
        except kind as error:
            self.add(path, None, str(error))

    def check(self) -> None:
        if self.lines:
            raise BuildError(*self.lines)
