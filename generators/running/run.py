"""Draws stale sections: in this process, or by a backend of several (see `workers`)."""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Callable, Collection, Iterable
from copy import deepcopy
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from .. import models
from ..figures import Section
from ..records import files
from ..records.errors import DeclarationError, SectionError
from ..records.locks import held
from ..records.record import FILE, read_drawn, read_json, write
from . import staleness
from .cost import Cost
from .drawing import panel_texts
from .session import Observer, Session, forward_cache_of, prepare, workload

WORDS = ".words.json"  # in the state folder; without it every section is imported, which imports torch

Backend = Callable[[dict[str, Cost], str, Path, Observer], None]
"""Prepares the model, draws sections and returns once they are on disk. Arguments: the expected costs by section id,
the name of the model, the state folder, the observer."""


def state_folder(root: Path, model: str) -> Path:
    """Returns the folder that holds the sections drawn by a model, one folder each."""
    return root / ".report" / model


def in_process(expected: dict[str, Cost], model: str, state: Path, observer: Observer) -> None:
    """Draws in this process; a `Backend`."""
    prepare(model, map(load_section, expected), observer.planned)
    session = Session(models.load(model), observer)
    for section_id in expected:
        draw_section(session, load_section(section_id), state / section_id, observer)


def draw_section(session: Session, section: Section, folder: Path, observer: Observer) -> dict[str, Any]:
    """Draws a section of the report into the folder and returns its record. Raises what `Session.draw` raises."""
    observer.section(section.id, section.title)
    about = {"source": source_of(section.id)}
    record = session.draw(section, folder, about, staleness.source_digest(section.id, session.model.name))
    observer.done(section.id, record)
    return record


def draw(
    root: Path,
    model: str,
    wanted: Iterable[str] = (),
    again: bool = False,
    observer: Observer | None = None,
    backend: Backend = in_process,
    check: Callable[[Collection[str]], None] = lambda section_ids: None,
) -> int:
    """Draws the wanted sections (none: all) that are stale, or with `again` all of them. Returns the number drawn.

    backend: draws in this process or in several (see `workers`). check: is called with the sections to be drawn, if
    any, before the first; what it raises ends the run. Changed labels and captions are written into the records without
    sampling. Raises SectionError for an unknown section, DeclarationError, InputError, ModelError,
    DrawingError, or errors of the backend. Sections completed before the error are kept.
    """
    observer = observer or Observer()
    models.folder(model)  # raises ModelError for an unknown model, before anything is written
    chosen = _chosen(wanted)
    state = state_folder(root, model)
    state.mkdir(parents=True, exist_ok=True)
    with held(state / "lock", "looks for stale sections", observer.waits) as lock:
        files.repair_all(state)  # after a killed run
        todo, words, known = {}, {}, _known_words(state)
        for section_id in chosen:
            why = "requested" if again else staleness.why_stale(state / section_id, section_id, model)
            words[section_id] = staleness.words_digest(section_id)
            if why:
                todo[section_id] = (why, _expected(root, model, section_id))
            else:
                # Left by a run that was killed after it completed the section.
                shutil.rmtree(forward_cache_of(state / section_id), ignore_errors=True)
                if known.get(section_id) != words[section_id]:
                    _reword(state / section_id, section_id)
        if todo:
            check(todo)
            lock.doing(f"draws {', '.join(todo)}")
            observer.begin(todo)
            backend({section_id: cost for section_id, (_, cost) in todo.items()}, model, state, observer)
        if words.items() - known.items():
            files.write(state / WORDS, json.dumps(known | words, indent=1, sort_keys=True) + "\n")
    return len(todo)


def examine(model: str, wanted: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """Returns what drawing the wanted sections (none: all) needs and what this machine has, in lines; and obstacles.

    Raises SectionError, ModelError or DrawingError.
    """
    return models.plan(model, partial(workload, list(map(load_section, _chosen(wanted)))))


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


def source_of(section_id: str) -> str:
    """Returns the path of a section's module in the project, such as generators/sections/part_1_8.py."""
    return staleness.sections()[section_id].relative_to(staleness.HOME.parent).as_posix()


def _known_words(state: Path) -> dict[str, str]:
    """Returns, by section, the digest of the source whose texts its record has."""
    try:
        found = json.loads((state / WORDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _reword(folder: Path, section_id: str) -> None:
    """Updates the texts and the module path in a drawn section's record if they changed."""
    before, section = read_drawn(folder), load_section(section_id)
    assert before
    record = deepcopy(before) | {"title": section.title, "source": source_of(section_id)}
    for figure, kept in zip(section.figures, record["figures"], strict=True):
        kept["caption"] = figure.caption_text()
        for case, panel in zip(figure.cases, kept["panels"], strict=True):
            panel |= panel_texts(section, figure, case, panel["found"])
    if record != before:
        write(folder / FILE, record)


def _expected(root: Path, model: str, section_id: str) -> Cost:
    """Returns the cost of the section's last drawing, here or of the published page."""
    for record in (
        read_drawn(state_folder(root, model) / section_id),
        read_json(root / "site" / "records" / f"{section_id}.json"),
    ):
        try:
            if record and record["model"]["name"] == model:
                return Cost.of(record)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # a damaged record: its section is redrawn, or the page refuses it
    return Cost()
