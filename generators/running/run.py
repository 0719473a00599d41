"""Draws stale sections, each as a whole, and writes their panels and records.

A section's folder, .report/<model>/<id>/, is written under a temporary name and then renamed, so a run killed at any
time leaves only complete sections. Slow models cache the outputs of their networks until the section is complete (see
`models.forward_cache`). All cases of a section run together (see `diffusion.batching`); a section drawn alone is
identical to the same section in a full run.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from .. import models
from ..figures import Section
from ..records.errors import DeclarationError, SectionError
from ..records.record import read_drawn, read_json, write
from . import staleness
from .drawing import panel_texts, works, write_panel

if TYPE_CHECKING:
    from ..models.base import Model

LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow")


class Observer:
    """Receives the progress of a run and ignores it. The command line's subclass shows progress bars."""

    def waiting(self) -> None:
        """This run waits for another one to end."""

    def begin(self, todo: dict[str, tuple[str, int]]) -> None:
        """A run begins. todo: for each section id, why it is drawn and the expected evaluations (0: unknown)."""

    def planned(self, line: str) -> None:
        """Receives one line of a large model's plan: its requirements and its preparation."""

    def section(self, section_id: str, title: str) -> None:
        """A section begins."""

    def evaluated(self, count: int) -> None:
        """The networks have evaluated `count` more images."""

    def done(self, section_id: str, record: dict[str, Any]) -> None:
        """A section has been written to disk, with this record."""


Backend = Callable[[dict[str, int], str, Path, Observer], None]
"""Draws sections and returns once they are on disk. Arguments: the expected evaluations by section id, the name of the
model, the state folder, the observer."""


def state_folder(root: Path, model: str) -> Path:
    """Returns the folder that holds the sections drawn by a model, one folder each."""
    return root / ".report" / model


def in_process(expected: dict[str, int], model: str, state: Path, observer: Observer) -> None:
    """Draws in this process; a `Backend`."""
    loaded = models.load(model)
    loaded.on_evaluated = observer.evaluated
    for section_id in expected:
        section = load_section(section_id)
        observer.section(section_id, section.title)
        observer.done(section_id, draw_section(section, loaded, state / section_id))


def draw(
    root: Path,
    model: str,
    wanted: Iterable[str] = (),
    again: bool = False,
    observer: Observer | None = None,
    backend: Backend = in_process,
) -> int:
    """Draws the wanted sections (none: all) that are stale, or with `again` all of them. Returns the number drawn.

    backend: draws in this process or in several (see `workers`). Changed labels and captions are written into the
    records without sampling. Raises SectionError for an unknown section, DeclarationError, InputError or ModelError, of
    one line each, DrawingError, or errors of the backend. Sections completed before the error are kept.
    """
    observer = observer or Observer()
    models.folder(model)  # raises ModelError for an unknown model, before anything is written
    chosen = _chosen(wanted)
    state = state_folder(root, model)
    state.mkdir(parents=True, exist_ok=True)
    with _alone(state, observer):
        for leftover in (*state.glob(".*.part"), *state.glob(".*.old")):  # of killed runs
            shutil.rmtree(leftover, ignore_errors=True)
        todo = {}
        for section_id in chosen:
            why = "requested" if again else staleness.why_stale(state / section_id, section_id, model)
            if why:
                todo[section_id] = (why, _expected(root, model, section_id))
            else:
                # Left by a run that was killed after it completed the section.
                shutil.rmtree(_forward_cache_of(state / section_id), ignore_errors=True)
                _reword(state / section_id, section_id)
        if todo:
            observer.begin(todo)
            ready(model, todo, observer)
            backend({section_id: count for section_id, (_, count) in todo.items()}, model, state, observer)
    return len(todo)


def ready(model: str, section_ids: Iterable[str], observer: Observer) -> None:
    """Prepares the model for the workload of these sections. Raises ModelError or DrawingError."""
    models.prepare(model, partial(_dry_run, section_ids), observer.planned)


def examine(model: str, wanted: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """Returns what drawing the wanted sections (none: all) needs and what this machine has, in lines; and obstacles.

    Raises SectionError, ModelError or DrawingError.
    """
    return models.plan(model, partial(_dry_run, _chosen(wanted)))


def asked_of(section_ids: Iterable[str]) -> models.Workload:
    """Returns the stage 1 workload of these sections, which is the same for every model."""
    return _dry_run(section_ids, 1, False)


def _dry_run(section_ids: Iterable[str], steps: int, guided: bool) -> models.Workload:
    from .dry_run import dry_run

    return dry_run([load_section(section_id) for section_id in section_ids], steps, guided)


def _chosen(wanted: Iterable[str]) -> list[str]:
    """Returns the wanted sections, or all if none are given. Raises SectionError for an unknown section."""
    wanted, known = list(wanted), staleness.sections()
    for section_id in wanted:
        if section_id not in known:
            raise SectionError(f"there is no section {section_id}; the sections are {', '.join(known)}")
    return wanted or list(known)


def load_section(section_id: str) -> Section:
    """Imports a section from its module. Raises DeclarationError, with file and line if known, if it is invalid."""
    path = staleness.sections()[section_id]
    try:
        module = import_module(staleness.module_of(section_id))
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            lines.append(error.lineno)
        where = f"{path.name}:{lines[-1]}" if lines else path.name
        what = "" if isinstance(error, DeclarationError) else f"{type(error).__name__}: "
        raise DeclarationError(f"{where}: {what}{error}") from error
    section = getattr(module, "SECTION", None)
    if not isinstance(section, Section):
        raise DeclarationError(f"{path.name}: declares no SECTION = Section(…)")
    if section.id != section_id:
        raise DeclarationError(f"{path.name}: declares section {section.id}, but its name says {section_id}")
    return section


def draw_section(section: Section, model: Model, folder: Path) -> dict[str, Any]:
    """Draws all cases of a section together, replaces its folder, and returns its record.

    Raises DrawingError if a `draw` fails or does not return a panel; the folder is then unchanged.
    """
    import torch

    from ..diffusion import batching
    from ..lab import Lab
    from ..models.forward_cache import ForwardCache

    source = staleness.source_digest(section.id, model.name)
    about = [model.name, model.digest, dict(model.settings), str(model.dtype), str(model.device), source, _versions()]
    answers = ForwardCache(_forward_cache_of(folder), json.dumps(about, sort_keys=True)) if model.resumes else None
    cases = [(figure, case) for figure in section.figures for case in figure.cases]
    began, calls, evaluations = time.perf_counter(), model.calls, model.evaluations
    model.forward_cache = answers
    try:
        with torch.inference_mode():
            drawn = batching.run(works(section, Lab(model)))
    finally:
        model.forward_cache = None
    model.wait()
    seconds = time.perf_counter() - began + (answers.seconds if answers else 0)

    with _in_place_of(folder) as part:
        panels: dict[str, list[dict[str, Any]]] = {figure.name: [] for figure in section.figures}
        for (figure, case), task in zip(cases, drawn, strict=True):
            of_figure = panels[figure.name]
            file = f"{figure.name}-{len(of_figure) + 1:02}.webp"
            of_figure.append(write_panel(part, file, section, figure, case, task))
        record = {
            "format": 1,
            "id": section.id,
            "title": section.title,
            "source": _source(section.id),
            **provenance(model),
            "depends": {
                "weights": model.digest,
                "source": source,
                "inputs": {event[1]: event[2] for task in drawn for event in task.log if event[0] == "input"},
            },
            "words": staleness.words_digest(section.id),
            "seconds": round(seconds, 3),
            "network_calls": model.calls - calls,
            "evaluations": model.evaluations - evaluations,
            "figures": [
                {"name": figure.name, "caption": figure.caption_text(), "panels": panels[figure.name]}
                for figure in section.figures
            ],
        }
        _write_record(part / "record.json", record)
    if answers:
        answers.forget()
    return record


def provenance(model: Model) -> dict[str, Any]:
    """Returns the part of a record that describes the model, its device and the library versions."""
    return {
        "model": {
            "name": model.name,
            "digest": model.digest,
            "description": model.description,
            "settings": dict(model.settings),
        },
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": str(model.device),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def _forward_cache_of(folder: Path) -> Path:
    """Returns the folder that caches the networks' outputs while the section of `folder` is drawn."""
    return folder.with_name(f".{folder.name}.answers")


def _source(section_id: str) -> str:
    """Returns the path of a section's module in the project, such as generators/sections/part_1_8.py."""
    return staleness.sections()[section_id].relative_to(staleness.HOME.parent).as_posix()


def _reword(folder: Path, section_id: str) -> None:
    """Updates the texts and the module path in a section's record if they changed."""
    record = read_drawn(folder)
    source, words = _source(section_id), staleness.words_digest(section_id)
    if record is None or (record["source"], record["words"]) == (source, words):
        return
    section = load_section(section_id)
    record |= {"title": section.title, "source": source, "words": words}
    for figure, kept in zip(section.figures, record["figures"], strict=True):
        kept["caption"] = figure.caption_text()
        for case, panel in zip(figure.cases, kept["panels"], strict=True):
            panel |= panel_texts(section, figure, case, panel["found"])
    _write_record(folder / "record.json", record)


def _expected(root: Path, model: str, section_id: str) -> int:
    """Returns the evaluations of the section's last drawing, here or on the published page; 0 if unknown."""
    for record in (
        read_drawn(state_folder(root, model) / section_id),
        read_json(root / "site" / "records" / f"{section_id}.json"),
    ):
        try:
            if record and record["model"]["name"] == model:
                return int(record["evaluations"])
        except (KeyError, TypeError, ValueError):
            continue  # a damaged record: its section is redrawn, or the page refuses it
    return 0


@contextmanager
def _alone(state: Path, observer: Observer) -> Iterator[None]:
    """Holds the lock of this state folder; if another run holds it, notifies the observer and waits."""
    lock = FileLock(state / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        observer.waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _in_place_of(folder: Path) -> Iterator[Path]:
    """Yields a new folder to write into, which replaces `folder` at the end. After an error, `folder` is unchanged."""
    part, old = (folder.with_name(f".{folder.name}.{suffix}") for suffix in ("part", "old"))
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        for path in part.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _write_record(path: Path, record: dict[str, Any]) -> None:
    """Seals a record and writes it as sorted JSON, under a temporary name that is then renamed."""
    write(path, record)
