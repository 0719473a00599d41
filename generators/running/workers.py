"""Sections side by side: each is a task of loky's worker processes here, or of Parsl's workers on other machines.

Both are `concurrent.futures` executors and do the scheduling; what is stale, the lock and the records are `run`'s, as
in a single process. A worker loads the model once, and draws whole sections, so that the pixels are the same.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, as_completed
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from .. import models
from . import run

if TYPE_CHECKING:
    from ..models.base import Model

_held: list[FileLock] = []  # this worker's place, for as long as it lives


class WorkerError(RuntimeError):
    """Workers cannot be had, or one of them ended before its section. One line."""


def in_workers(count: int) -> run.Backend:
    """The backend of `count` worker processes on this machine; where it has GPUs, each worker sees one of them.

    The processor's cores (or OMP_NUM_THREADS, where that is set) are shared out evenly. Raises WorkerError.
    """

    @contextmanager
    def workers() -> Iterator[Executor]:
        from loky import ProcessPoolExecutor, cpu_count

        cores = int(os.environ.get("OMP_NUM_THREADS") or cpu_count())
        with tempfile.TemporaryDirectory(prefix="report-workers-", ignore_cleanup_errors=True) as places:
            executor = ProcessPoolExecutor(
                count,
                initializer=_take_place,
                initargs=(places, count, _gpus()),
                env={"OMP_NUM_THREADS": str(max(1, cores // count))},
            )
            finished = False
            try:
                yield executor
                finished = True
            finally:  # after an error they are in the midst of their work
                executor.shutdown(kill_workers=not finished)

    return _by(workers)


def in_parsl(file: Path) -> run.Backend:
    """The backend that draws with the workers of Parsl, as `config = parsl.Config(…)` in a file of Python says.

    The workers must see this folder under the same path, and have this package. Raises WorkerError.
    """

    @contextmanager
    def workers() -> Iterator[Executor]:
        try:
            from parsl import Config
            from parsl.concurrent import ParslPoolExecutor
        except ImportError:
            raise WorkerError("--executor needs Parsl; install it with `pip install -e '.[slurm]'`") from None
        beside = str(Path(sys.executable).parent)  # where Parsl's own programs lie, which it starts by their names
        os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
        try:
            config = runpy.run_path(str(file)).get("config")
            with _ctrl_c_waits():
                executor = ParslPoolExecutor(config) if isinstance(config, Config) else None
        except Exception as error:  # the file is a program, and may fail in any way
            raise WorkerError(f"{file}: {type(error).__name__}: {' '.join(str(error).split())}") from error
        if executor is None:
            raise WorkerError(f"{file}: declares no `config = parsl.Config(…)`")
        finished = False
        try:
            yield executor
            finished = True
        finally:
            executor.shutdown(wait=finished)

    return _by(workers)


def _by(workers: Callable[[], AbstractContextManager[Executor]]) -> run.Backend:
    """The backend that draws that hands each section to the workers and tells of it when it is on disk."""

    def draw(expected: dict[str, int], model: str, state: Path, observer: run.Observer) -> None:
        # The longest first: a long one that comes last would leave the others without work.
        in_order = sorted(expected, key=lambda section_id: -expected[section_id])
        try:
            with workers() as executor:
                with _ctrl_c_waits():
                    tasks = {executor.submit(_draw, key, model, str(state.resolve())): key for key in in_order}
                for task in as_completed(tasks):
                    record = task.result()
                    observer.section(tasks[task], record["title"])
                    observer.evaluated(record["evaluations"])
                    observer.done(tasks[task], record)
        except BrokenExecutor:
            why = "a worker process ended in the middle of its work (killed, or out of memory?)"
            raise WorkerError(f"{why}; what was finished is kept, run the same command to go on") from None

    return draw


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C takes effect at the end; the processes that begin here never hear of it, for they inherit the mask."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # now, for when it starts it lifts the mask
    heard: list[int] = []
    # The mask is this thread's alone; from any other thread a signal still comes to Python's handler.
    usual = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, usual)
    if heard:
        raise KeyboardInterrupt


def _take_place(places: str, count: int, gpus: list[str]) -> None:
    """Begin as a worker: take a place, with its GPU, that no other worker has.

    A place is a locked file, which the system frees when its worker ends. So a worker that comes later finds it.
    """
    for place in range(count):
        lock = FileLock(Path(places) / str(place))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _held.append(lock)
        if gpus:  # before torch is imported
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
        return


def _gpus() -> list[str]:
    """The names under which CUDA's programs find this machine's GPUs, such as "0"; none where there are none."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(k) for k in range(torch.cuda.device_count())]


@cache
def _model(name: str) -> Model:
    return models.load(name)


def _draw(section_id: str, model: str, state: str) -> dict[str, Any]:
    """A worker's task."""
    return run.draw_section(run.load_section(section_id), _model(model), Path(state) / section_id)
