"""A folder that is replaced as a whole: readers see the old one or the new one, whenever the process is killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; where another process holds it, wait. Raises OSError where it cannot be made."""
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        yield


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A new folder to fill, which then takes the place of `folder`. After an error, nothing has changed.

    What a killed process left is put right first: the old folder comes back if it was on its way out. Raises OSError
    where the place cannot be written.
    """
    new, old = (folder.with_name(f".{folder.name}.{suffix}") for suffix in ("new", "old"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        _restore(folder, old)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
        new.mkdir()
        try:
            yield new
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
        finally:
            _restore(folder, old)
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _restore(folder: Path, old: Path) -> None:
    if old.exists() and not folder.exists():
        old.rename(folder)
