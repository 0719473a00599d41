"""Files and folders that are replaced as a whole: readers see the old one or the new one, whenever the process is
killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, content: bytes | str, synced: bool = True) -> None:
    """Writes a file under another name, in UTF-8, and then renames it. Its folder is made if it is missing.

    synced: whether its content is on disk before it is renamed; not needed where the reader notices a damaged file.
    Raises OSError; the old file is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yields a new folder to fill, which then replaces `folder`. After an error nothing has changed.

    Only one process at a time may replace a folder; see `locks`. Raises OSError if the parent folder is not writable.
    """
    new, old = _beside(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    repair(folder)
    new.mkdir()
    try:
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        repair(folder)


def repair(folder: Path) -> None:
    """Removes what a killed `replacing` left beside the folder, and restores the folder if it had been renamed."""
    new, old = _beside(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)


def repair_all(parent: Path) -> None:
    """Repairs all folders in `parent`, and removes what a killed `write` left there. Nobody else may write there."""
    for leftover in (*parent.glob(".*.new"), *parent.glob(".*.old")):
        if leftover.is_dir():
            repair(parent / leftover.name[1:].rpartition(".")[0])
        else:
            leftover.unlink(missing_ok=True)


def _beside(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
