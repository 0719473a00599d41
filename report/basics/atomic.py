"""Replaces a folder as a whole: readers see the old one or the new one, whenever the process is killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock for the duration of the block; waits for another process. Raises OSError if it cannot be
    created."""
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        yield


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yields a new folder to fill, which then replaces `folder`. After an error nothing has changed.

    First repairs what a killed process left: restores the old folder if it had been renamed. Raises OSError if the
    parent folder is not writable.
    """
    new, old = (folder.with_name(f".{folder.name}.{suffix}") for suffix in ("new", "old"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder):
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
