"""Draws sections in parallel: in loky's worker processes on this machine, or by Parsl's workers on others.

Both are `concurrent.futures` executors and do the scheduling; `run` handles staleness, the lock and the records, as in
a single process. A worker loads the model once and draws whole sections, so the pixels are the same. It counts its
evaluations in a file beside the section, which this process reads.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from filelock import BaseFileLock

from .. import models
from ..models.provider import SHARING
from ..records import files, locks
from ..records.errors import WorkerError
from . import run
from .cost import Cost
from .session import Observer, Session, prepare

AGAIN = "finished sections are kept, run the same command to continue"
COUNTS = ".evaluations.new"  # in the state folder; what a killed run leaves of it, `files.repair_all` removes
EVERY = 1.0  # seconds between two countings
_slots: list[BaseFileLock] = []  # the slot of this worker, held until it ends


def in_workers(count: int) -> run.Backend:
    """Returns the backend of `count` worker processes on this machine; on a machine with GPUs each worker sees one of
    them.

    The cores (or OMP_NUM_THREADS, if set) are divided evenly. Drawing raises WorkerError.
    """

    @contextmanager
    def workers() -> Iterator[Executor]:
        from loky import ProcessPoolExecutor, cpu_count

        cores = _threads() or cpu_count()
        with tempfile.TemporaryDirectory(prefix="report-workers-", ignore_cleanup_errors=True) as places:
            executor = ProcessPoolExecutor(
                count,
                initializer=_claim_slot,
                initargs=(places, count, _gpus()),
                # Else loky replaces a worker that grew by 300 MB, which a loaded stage does.
                env={"OMP_NUM_THREADS": str(max(1, cores // count)), "LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"},
            )
            with _shut_down(executor, kill_workers=True):
                yield executor

    return _backend(workers)


def in_parsl(file: Path) -> run.Backend:
    """Returns the backend of Parsl's workers, configured by `config = parsl.Config(…)` in a Python file.

    The workers need this package, and this folder under the same path. Drawing raises WorkerError.
    """

    @contextmanager
    def workers() -> Iterator[Executor]:
        try:
            from parsl import Config
            from parsl.concurrent import ParslPoolExecutor
        except ImportError:
            raise WorkerError("--executor needs Parsl; install it with `pip install -e '.[slurm]'`") from None
        beside = str(Path(sys.executable).parent)  # Parsl starts its own programs, which lie here, by name
        os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
        try:
            config = runpy.run_path(str(file)).get("config")
            with _ctrl_c_deferred():
                executor = ParslPoolExecutor(config) if isinstance(config, Config) else None
        except Exception as error:  # the file is a program and may raise anything
            raise WorkerError(f"{file}: {type(error).__name__}: {' '.join(str(error).split())}") from error
        if executor is None:
            raise WorkerError(f"{file}: declares no `config = parsl.Config(…)`")
        with _shut_down(executor, wait=False):
            yield executor

    return _backend(workers)


@contextmanager
def _shut_down(executor: Executor, **after_error: bool) -> Iterator[None]:
    """Shuts an executor down after the block; after an error, when its workers are still busy, with these arguments."""
    try:
        yield
    except BaseException:
        executor.shutdown(**after_error)
        raise
    executor.shutdown()


def _backend(workers: Callable[[], AbstractContextManager[Executor]]) -> run.Backend:
    """Returns a backend that submits each section to the workers and reports it once it is on disk.

    This process sees to files and embeddings. The first worker plans the rest, with the machine that draws.
    """

    def draw(expected: dict[str, Cost], model: str, state: Path, observer: Observer) -> None:
        # Longest first: a long section at the end would leave the other workers idle.
        in_order = sorted(expected, key=lambda section_id: -expected[section_id].whole)
        told: list[str] = []

        def tell(line: str) -> None:
            if line not in told:
                told.append(line)
                observer.planned(line)

        prepare(model, map(run.load_section, in_order), tell, here=False)
        try:
            with workers() as executor:
                if models.provider(model).plans:
                    tell(f"{model}: planning  on the first worker that starts")
                    with _ctrl_c_deferred():
                        planned = executor.submit(_plan, in_order, model)
                    for line in planned.result():
                        tell(line)
                with _ctrl_c_deferred():
                    tasks = {executor.submit(_draw, key, model, str(state.resolve())): key for key in in_order}
                counted, waiting = dict.fromkeys(in_order, 0), set(tasks)
                while waiting:
                    finished, waiting = wait(waiting, EVERY, FIRST_COMPLETED)
                    for task in finished:
                        record, section_id = task.result(), tasks[task]
                        observer.section(section_id, record["title"])
                        observer.evaluated(record["evaluations"] - counted[section_id], section_id)
                        observer.done(section_id, record)
                    counts = {tasks[task]: _count(state, tasks[task]) for task in waiting}
                    for section_id, count in counts.items():
                        observer.evaluated(count - counted[section_id], section_id)
                    counted |= counts
        except BrokenExecutor:
            raise WorkerError(f"a worker process ended unexpectedly (killed, or out of memory?); {AGAIN}") from None
        except Exception as error:
            if why := _of_parsl(error):
                raise WorkerError(why) from error
            raise
        finally:
            shutil.rmtree(state / COUNTS, ignore_errors=True)

    return draw


class _Counting(Observer):
    """Writes the number of evaluations of a section to a file, for the process that waits."""

    def begins(self, section_id: str, state: Path) -> None:
        self.file, self.count, self.told = state / COUNTS / section_id, 0, time.monotonic()

    def evaluated(self, count: int, section_id: str = "") -> None:
        self.count += count
        if time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            with suppress(OSError):  # of a full disk, which drawing itself will report
                files.write(self.file, str(self.count), synced=False)


def _count(state: Path, section_id: str) -> int:
    """Returns the evaluations of a section that is being drawn, as last written; 0 if none are."""
    try:
        return int((state / COUNTS / section_id).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def _of_parsl(error: Exception) -> str | None:
    """Returns what an error says about Parsl's workers, in one line; None if it is not about them."""
    kind, said = type(error), " ".join(str(error).split())
    if kind.__name__ in ("WorkerLost", "ManagerLost"):
        host = getattr(error, "hostname", "another machine")
        return f"a worker on {host} ended unexpectedly (killed, out of memory or time?); {AGAIN}"
    if kind.__module__.partition(".")[0] == "parsl":
        return f"Parsl: {kind.__name__}: {said or 'no reason given'}; {AGAIN}"
    if isinstance(error, ImportError):
        return f"a worker cannot import what it needs: {said}; install this project, in one version, where workers run"
    return None


def _threads() -> int | None:
    """Returns the threads that OMP_NUM_THREADS asks for, of a list the first, as OpenMP reads it; None if it is not
    set. Raises WorkerError."""
    wish = os.environ.get("OMP_NUM_THREADS", "").strip()
    if not wish:
        return None
    if not re.fullmatch(r"0*[1-9][0-9]*(\s*,\s*0*[1-9][0-9]*)*", wish, re.ASCII):
        raise WorkerError(
            f"OMP_NUM_THREADS is {wish!r}, which is no number of threads; set it to one such as 4, or unset it"
        )
    return int(wish.partition(",")[0])


@contextmanager
def _ctrl_c_deferred() -> Iterator[None]:
    """Defers Ctrl-C to the end of the block. Processes started inside inherit the signal mask and never receive it."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # now, because starting it lifts the mask
    heard: list[int] = []
    # The mask covers this thread only; a signal to another thread still reaches Python's handler.
    usual = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, usual)
    if heard:
        raise KeyboardInterrupt


def _claim_slot(places: str, count: int, gpus: list[str]) -> None:
    """Initialises a worker: claims a free slot, with its GPU and its share of the memory.

    A slot is a lock, which is free again when its worker has ended, so a later worker can claim it.
    """
    for place in range(count):
        lock = locks.claim(Path(places) / str(place))
        if lock is None:
            continue
        _slots.append(lock)
        SHARING.ram = count
        if gpus:  # before torch is imported
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
            SHARING.gpu = len(range(place % len(gpus), count, len(gpus)))
        return


def _gpus() -> list[str]:
    """Returns the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them, such as "0"; empty
    if there are none. Of a GPU that is split, they are its MIG slices: a process sees only one of them at a time."""
    import torch

    visible, slices = os.environ.get("CUDA_VISIBLE_DEVICES"), _slices()
    if visible is not None:
        names = [name.strip() for name in visible.split(",") if name.strip()]
    elif any(slices.values()):
        names = list(slices)
    else:
        names = [str(k) for k in range(torch.cuda.device_count())]

    def split(name: str) -> list[str]:
        for number, (gpu, found) in enumerate(slices.items()):
            if name == str(number) or gpu.startswith(name):
                return found or [name]
        return [name]

    return [each for name in names for each in split(name)]


def _slices() -> dict[str, list[str]]:
    """Returns the names of the MIG slices of each GPU, as `nvidia-smi -L` lists them; empty where that fails."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, list[str]] = {}
    for name in re.findall(r"\(UUID: ([^)]+)\)", listed):
        if name.startswith("MIG-") and found:
            found[next(reversed(found))].append(name)
        else:
            found[name] = []
    return found


@cache
def _session(model: str) -> tuple[Session, _Counting]:
    counting = _Counting()
    return Session(models.load(model), counting), counting


def _plan(section_ids: list[str], model: str) -> list[str]:
    """Plans the drawing of these sections on this worker's machine and returns the lines of the plan. Raises what
    `prepare` raises."""
    lines: list[str] = []
    prepare(model, map(run.load_section, section_ids), lines.append)
    return lines


def _draw(section_id: str, model: str, state: str) -> dict[str, Any]:
    """Draws one section; the task of a worker."""
    session, counting = _session(model)
    counting.begins(section_id, Path(state))
    return run.draw_section(session, run.load_section(section_id), Path(state) / section_id, counting)
