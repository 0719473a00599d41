"""Locks between processes: one holds a lock, the others wait and say for whom.

The system releases its locks when their process ends. Some file systems have none (shared and cloud disks); there a
lock is a lease: a file that its holder renews, and that lapses when its process has ended here, or is silent elsewhere.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLease, Timeout

from . import files
from .errors import LockError

LEASE = 60.0  # seconds without renewal after which a lease lapses; the same in all processes
POLL = 0.1  # seconds between two attempts
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # what a file system without locks answers


class Held:
    """A lock that this process holds."""

    def __init__(self, path: Path, doing: str) -> None:
        self._note, self._since = _note_of(path), datetime.now().astimezone().isoformat(timespec="seconds")
        self.doing(doing)

    def doing(self, what: str) -> None:
        """Tells those who wait what this process does, such as "draws 1.5". Raises OSError."""
        about = {"host": socket.gethostname(), "process": os.getpid(), "since": self._since, "doing": what}
        files.write(self._note, json.dumps(about), synced=False)

    def forget(self) -> None:
        self._note.unlink(missing_ok=True)


def print_line(line: str) -> None:
    """Prints a line of waiting where no observer hears it."""
    print(f"report: {line}", file=sys.stderr, flush=True)


@contextmanager
def held(path: Path, doing: str, tell: Callable[[str], None] = print_line) -> Iterator[Held]:
    """Holds the lock at `path`. While another process holds it, this one waits and tells so in one line.

    doing: what this process does meanwhile, for those who wait. Raises OSError if the lock cannot be created, and
    LockError after the block if a lease was lost during it, because this process was stopped for too long.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _acquired(path, tell)
    try:
        mine = Held(path, doing)
        try:
            yield mine
        finally:
            if not _lost(lock):
                mine.forget()
    finally:
        lock.release()
    if _lost(lock):
        raise LockError(
            f"{path}: another process took this lock while this one stood still; run the same command again"
        )


def claim(path: Path) -> BaseFileLock | None:
    """Takes the lock at `path` until it is released or this process ends; returns None if another process holds it.

    Raises OSError if the lock cannot be created.
    """
    lock, taken = _attempted(path)
    return lock if taken else None


def _attempted(path: Path) -> tuple[BaseFileLock, bool]:
    """Returns the system's lock, or a lease where the file system has none, and whether it was free. They have two
    names, because a leftover of the one is none of the other."""
    # With `preserve_lock_file` the library does not take any file at `path`, even an old, empty one, for a lock.
    lock = FileLock(path, preserve_lock_file=True, poll_interval=POLL)
    try:
        return lock, _acquires(lock, 0)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    lease = SoftFileLease(path.with_name(f"{path.name}.lease"), lease_duration=LEASE, poll_interval=POLL)
    return lease, _acquires(lease, 2 * POLL)  # two attempts: the first removes the lease of a process that has ended


def _acquired(path: Path, tell: Callable[[str], None]) -> BaseFileLock:
    """Acquires the lock, and waits for it if it is not free."""
    lock, taken = _attempted(path)
    if taken:
        return lock
    if not isinstance(lock, SoftFileLease):
        tell(f"waiting for {_holder(path)}; it holds {path}")
        lock.acquire()
        return lock
    file = Path(lock.lock_file)
    tell(f"waiting for {_holder(path)}; it holds {file}, for {LEASE:.0f} s more if it runs no longer")
    before = _empty(file)
    while not _acquires(lock, LEASE):
        # Of a process that ended before it wrote its name: the library would wait for it for ever.
        if before and before == _empty(file):
            lock.force_break()
        before = _empty(file)
    return lock


def _acquires(lock: BaseFileLock, timeout: float) -> bool:
    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        return False
    return True


def _empty(file: Path) -> tuple[int, int] | None:
    """Returns which empty file this is; None if it is missing or has content."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return None if stat.st_size else (stat.st_ino, stat.st_mtime_ns)


def _holder(path: Path) -> str:
    """Returns who holds a lock, as far as its note says."""
    try:
        note = json.loads(_note_of(path).read_text(encoding="utf-8"))
        since = datetime.fromisoformat(note["since"]).strftime("%Y-%m-%d %H:%M:%S")
        return f"process {note['process']} on {note['host']}, which {note['doing']} since {since}"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.holder")


def _lost(lock: BaseFileLock) -> bool:
    return isinstance(lock, SoftFileLease) and lock.compromise is not None
