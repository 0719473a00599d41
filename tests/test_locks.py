"""One process at a time: the others say for whom they wait, and what a process left behind stops nobody, with the
system's locks and on file systems that have none."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from generators.records import locks
from generators.records.errors import BuildError, LockError
from generators.running import run
from report.page import builder

ROOT = Path(__file__).parents[1]
HOLD = """
import errno, fcntl, sys
from pathlib import Path
from generators.records import locks
locks.LEASE = float(sys.argv[3])
if sys.argv[2] != "0":
    def refused(*_):
        raise OSError(int(sys.argv[2]), "no locks here")
    fcntl.flock = refused
with locks.held(Path(sys.argv[1]), "draws 1.5"):
    print("held", flush=True)
    input()
"""


def start(path: Path, number: int = 0, lease: float = 60) -> subprocess.Popen:
    """Another process that holds the lock until it gets a line, or is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), str(number), str(lease)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    return process


def refusing(number: int) -> Callable[..., None]:
    """What a file system answers to flock."""

    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


@pytest.fixture(
    params=[0, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK], ids=["flock", "ENOSYS", "EOPNOTSUPP", "ENOLCK"]
)
def system(request, monkeypatch):
    """A file system with locks, or what one without answers."""
    if request.param:
        monkeypatch.setattr(fcntl, "flock", refusing(request.param))
    return request.param


def at_once(path: Path) -> None:
    told: list[str] = []
    with locks.held(path, "tests", told.append):
        assert json.loads(path.with_name(path.name + ".holder").read_text())["process"] == os.getpid()
    assert told == []


def test_waiting_says_for_whom_in_one_line(system, tmp_path):
    path, told, done = tmp_path / "lock", [], threading.Event()
    other = start(path, system)

    def wait() -> None:
        with locks.held(path, "waits", lambda line: (told.append(line), other.communicate("\n"))):
            done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert done.wait(60)
    thread.join()
    (line,) = told
    who = f"process {other.pid} on {socket.gethostname()}, which draws 1.5 since 20"
    assert line.startswith(f"waiting for {who}")
    assert re.search(rf"; it holds {re.escape(str(path))}(\.lease, for 60 s more if it runs no longer)?$", line), line
    assert {file.name for file in tmp_path.iterdir()} <= {"lock"}


def test_a_killed_process_holds_nothing(system, tmp_path):
    other = start(tmp_path / "lock", system)
    other.kill()
    other.communicate()
    assert (tmp_path / "lock.holder").exists()
    at_once(tmp_path / "lock")


@pytest.mark.parametrize("left", ["", "\0garbage", "4242\nelsewhere\n"])
def test_a_lock_file_that_came_with_a_copied_folder_is_no_obstacle(system, tmp_path, left):
    (tmp_path / "lock").write_text(left)
    (tmp_path / "lock.holder").write_text(left)
    at_once(tmp_path / "lock")


@pytest.mark.parametrize("left", ["lease", "empty"])
def test_a_lease_that_came_with_a_copied_folder_lapses(tmp_path, monkeypatch, left):
    """Of a process on another host, or of one that ended before it wrote its name."""
    monkeypatch.setattr(locks, "LEASE", 1.0)
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOSYS))
    other = start(tmp_path / "there", errno.ENOSYS, 1.0)
    (tmp_path / "here").mkdir()
    for name in ("lease", "holder"):
        text = (tmp_path / f"there.{name}").read_text().replace(socket.gethostname(), "elsewhere")
        (tmp_path / "here" / f"lock.{name}").write_text(text)
    other.communicate("\n")
    if left == "empty":
        (tmp_path / "here/lock.lease").write_text("")
    told: list[str] = []
    with locks.held(tmp_path / "here/lock", "tests", told.append):
        assert len(told) == 1
        assert f"process {other.pid} on elsewhere, which draws 1.5 since" in told[0]


def test_a_lock_is_claimed_without_waiting(system, tmp_path):
    other = start(tmp_path / "lock", system)
    assert locks.claim(tmp_path / "lock") is None
    other.kill()
    other.communicate()
    claimed = locks.claim(tmp_path / "lock")
    assert claimed is not None
    assert claimed.is_locked
    claimed.release()


def test_there_is_one_kind_of_lock():
    """Every lock outlives no holder, also on file systems without `flock`."""
    for path in (*ROOT.glob("generators/**/*.py"), *ROOT.glob("report/**/*.py")):
        assert path == Path(locks.__file__) or "FileLock(" not in path.read_text(), path


def test_a_lease_is_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "LEASE", 1.0)
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOSYS))
    other, held = start(tmp_path / "lock", errno.ENOSYS, 1.0), threading.Event()

    def wait() -> None:
        with locks.held(tmp_path / "lock", "waits", lambda line: None):
            held.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not held.wait(2.5)
    other.communicate("\n")
    assert held.wait(30)
    thread.join()


def test_a_lease_that_another_took_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "LEASE", 0.3)
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOSYS))
    lock = locks.held(tmp_path / "lock", "tests")
    lock.__enter__()
    (tmp_path / "lock.lease").unlink()
    threading.Event().wait(0.5)
    with pytest.raises(LockError, match=r"lock: another process took this lock .* run the same command again$"):
        lock.__exit__(None, None, None)


def test_other_errors_of_a_lock_are_not_hidden(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    with pytest.raises(OSError, match="error"), locks.held(tmp_path / "lock", "tests"):
        pass


def test_a_run_names_its_sections_to_those_who_wait(system, tiny_pocket, tmp_path):
    state = run.state_folder(tmp_path, "pocket")
    notes = []

    class Reading(run.Observer):
        def section(self, section_id, title):
            notes.append(json.loads((state / "lock.holder").read_text())["doing"])

    run.draw(tmp_path, "pocket", ["1.1", "1.2"], observer=Reading())
    assert notes == ["draws 1.1, 1.2"] * 2
    assert {path.name for path in state.iterdir()} <= {"1.1", "1.2", "lock", run.WORDS}


def test_a_build_waits_by_the_same_lock(tmp_path, capsys):
    site = tmp_path / "site"
    other = start(builder.lock_of(site))
    threading.Timer(0.5, other.communicate, ["\n"]).start()
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    (tmp_path / "report").mkdir()
    shutil.copy(ROOT / "report" / "report.toml", tmp_path / "report")
    with pytest.raises(BuildError):  # an empty folder has no page; the lock comes first
        builder.build(tmp_path)
    assert capsys.readouterr().err.startswith(f"report: waiting for process {other.pid} on {socket.gethostname()}")
