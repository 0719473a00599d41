"""Draws the sections that are stale, each as a whole, and leaves their panels and records on disk.

A section's folder, .report/<model>/<id>/, is written beside and then put in place by one rename, so that a run killed
at any moment leaves whole sections only; where a section takes long, what the networks have answered in it is kept as
well, until it is whole (see `models.answers`). All the cases of a section run together (see `diffusion.strands`); a
section drawn alone is drawn just as in a full run.
"""

from __future__ import annotations

import hashlib
import io
import itertools
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

from . import models, staleness
from .figures import DeclarationError, Figure, Panel, Section

if TYPE_CHECKING:
    from .diffusion.strands import Strand
    from .models.base import Model

LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow")


class Report:
    """What a run tells while it goes on; this one says nothing. The command line's shows bars."""

    def waiting(self) -> None:
        """Another run draws at this moment; this one waits for it."""

    def begin(self, todo: dict[str, tuple[str, int]]) -> None:
        """Before the first section: for each to be drawn, why, and how many evaluations to expect (0: unknown)."""

    def planned(self, line: str) -> None:
        """What a large model needs and will do before it draws, a line at a time."""

    def section(self, section_id: str, title: str) -> None:
        """A section begins."""

    def evaluated(self, count: int) -> None:
        """The network has evaluated so many images more."""

    def done(self, section_id: str, record: dict[str, Any]) -> None:
        """A section is on disk."""


Way = Callable[[dict[str, int], str, Path, Report], None]
"""How sections are drawn: given their ids with the evaluations to expect, a model's name, the state folder, and whom to
tell. When it returns, they are on disk."""


def state_folder(root: Path, model: str) -> Path:
    return root / ".report" / model


def one_after_another(expected: dict[str, int], model: str, state: Path, report: Report) -> None:
    """The way to draw in this process."""
    loaded = models.load(model)
    loaded.on_answer = report.evaluated
    for section_id in expected:
        section = load_section(section_id)
        report.section(section_id, section.title)
        report.done(section_id, draw_section(section, loaded, state / section_id))


def draw(
    root: Path,
    model: str,
    wanted: Iterable[str] = (),
    again: bool = False,
    report: Report | None = None,
    way: Way = one_after_another,
) -> int:
    """Draw the wanted sections (none: all) that are stale, or with `again` all of them. Returns how many were drawn.

    way: in this process, or side by side (see `workers`). Labels and captions that changed are put into the records
    without sampling. Raises SectionError for an unknown section, DeclarationError, InputError or ModelError, one line
    each, or what the way raises; sections already drawn stay.
    """
    report = report or Report()
    models.folder(model)  # refuses a model that is not there, before anything is written
    chosen = _chosen(wanted)
    state = state_folder(root, model)
    state.mkdir(parents=True, exist_ok=True)
    with _alone(state, report):
        for leftover in (*state.glob(".*.part"), *state.glob(".*.old")):  # of runs that were killed
            shutil.rmtree(leftover, ignore_errors=True)
        todo = {}
        for section_id in chosen:
            why = "asked for" if again else staleness.why_stale(state / section_id, section_id, model)
            if why:
                todo[section_id] = (why, _expected(root, model, section_id))
            else:
                shutil.rmtree(_answers_of(state / section_id), ignore_errors=True)  # killed when it was whole
                _reword(state / section_id, section_id)
        if todo:
            report.begin(todo)
            ready(model, todo, report)
            way({section_id: count for section_id, (_, count) in todo.items()}, model, state, report)
    return len(todo)


def ready(model: str, section_ids: Iterable[str], report: Report) -> None:
    """Make the model ready for all that these sections will ask of it. Raises ModelError."""
    models.prepare(model, partial(_rehearsed, section_ids), report.planned)


def examine(model: str, wanted: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """What drawing the wanted sections (none: all) takes and what there is, in lines; and all that is in the way.

    Raises SectionError or ModelError.
    """
    return models.plan(model, partial(_rehearsed, _chosen(wanted)))


def asked_of(section_ids: Iterable[str]) -> models.Work:
    """What drawing these sections asks of stage 1, whatever the model."""
    return _rehearsed(section_ids, 1, False)


def _rehearsed(section_ids: Iterable[str], steps: int, guided: bool) -> models.Work:
    from .rehearsal import rehearse

    return rehearse([load_section(section_id) for section_id in section_ids], steps, guided)


def _chosen(wanted: Iterable[str]) -> list[str]:
    """The wanted sections, or all. Raises SectionError where there is no such section."""
    wanted, known = list(wanted), staleness.sections()
    for section_id in wanted:
        if section_id not in known:
            raise staleness.SectionError(f"there is no section {section_id}; the sections are {', '.join(known)}")
    return wanted or list(known)


def load_section(section_id: str) -> Section:
    """Import a section's module. Raises DeclarationError, with file and line, where it does not declare its section."""
    path = staleness.sections()[section_id]
    try:
        module = import_module(f"{__package__}.{path.stem}")
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
        raise DeclarationError(f"{path.name}: declares section {section.id}; by its name it is {section_id}")
    return section


def draw_section(section: Section, model: Model, folder: Path) -> dict[str, Any]:
    """Draw all the cases of a section together and put its folder in place. Returns the record."""
    import torch

    from .diffusion import strands
    from .lab import Lab
    from .models.answers import Answers

    lab, source = Lab(model), staleness.source_digest(section.id, model.name)
    about = [model.name, model.digest, dict(model.settings), str(model.dtype), str(model.device), source, _versions()]
    answers = Answers(_answers_of(folder), json.dumps(about, sort_keys=True)) if model.resumes else None
    cases = [(figure, case) for figure in section.figures for case in figure.cases]
    began, calls, evaluations = time.perf_counter(), model.calls, model.evaluations
    model.answers = answers
    try:
        with torch.inference_mode():
            drawn = strands.run([partial(figure.draw, lab, **case) for figure, case in cases])
    finally:
        model.answers = None
    model.wait()
    seconds = time.perf_counter() - began + (answers.seconds if answers else 0)

    with _in_place_of(folder) as part:
        panels: dict[str, list[dict[str, Any]]] = {figure.name: [] for figure in section.figures}
        for (figure, case), strand in zip(cases, drawn, strict=True):
            of_figure = panels[figure.name]
            of_figure.append(write_panel(part, f"{figure.name}-{len(of_figure) + 1:02}.webp", figure, case, strand))
        record = {
            "format": 1,
            "id": section.id,
            "title": section.title,
            "source": f"{__package__}/{staleness.sections()[section.id].name}",
            **provenance(model),
            "depends": {
                "weights": model.digest,
                "source": source,
                "inputs": {event[1]: event[2] for strand in drawn for event in strand.log if event[0] == "input"},
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
        _write_json(part / "record.json", record)
    if answers:
        answers.forget()
    return record


def provenance(model: Model) -> dict[str, Any]:
    """What a record holds of the model and of what it ran on."""
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


def _answers_of(folder: Path) -> Path:
    """Where the answers are kept while the section of this folder is drawn."""
    return folder.with_name(f".{folder.name}.answers")


def write_panel(folder: Path, file: str, figure: Figure, case: Any, strand: Strand) -> dict[str, Any]:
    """Write one panel as lossless WebP and return its record."""
    from PIL import Image

    panel = strand.result if isinstance(strand.result, Panel) else Panel(strand.result)
    if missing := set(panel.found) - set(figure.finds):
        raise DeclarationError(
            f"figure {figure.name!r}: draw found {', '.join(sorted(missing))}, which `finds` does not name"
        )
    found = {name: value if isinstance(value, str) else round(value, 4) for name, value in panel.found.items()}
    rgb = ((panel.image.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    encoded = io.BytesIO()
    Image.fromarray(rgb).save(encoded, "WEBP", lossless=True, quality=80, exact=True)
    (folder / file).write_bytes(encoded.getvalue())

    def noted(kind: str) -> list[Any]:
        """The distinct values of one kind of event, in the order of their first appearance."""
        return list(dict.fromkeys(event[1] for event in strand.log if event[0] == kind))

    evaluations = [event for event in strand.log if event[0] == "evaluation"]
    later = [event for event in strand.log if event[0] == "later evaluation"]
    gammas = noted("gamma")
    return {
        "file": file,
        "bytes": hashlib.sha256(encoded.getvalue()).hexdigest(),
        "pixels": hashlib.sha256(rgb.tobytes()).hexdigest(),
        "width": rgb.shape[1],
        "height": rgb.shape[0],
        "row": figure.row_of(case),
        "label": figure.label_of(case, found),
        "alt": figure.alt_of(case, found),
        "case": dict(case),
        "found": found,
        "origin": _origin(noted("input"), noted("seed"), bool(evaluations)),
        "inputs": noted("input"),
        "seeds": noted("seed"),
        "prompts": list(dict.fromkeys(event[1] for event in (*evaluations, *later))),
        "gamma": gammas[0] if gammas else None,
        "timesteps": list(dict.fromkeys(t for _, _, t, _ in evaluations)),
        # Of every stage that came later, one after the other: two stages may visit the same timestep.
        "later_timesteps": [t for t, _ in itertools.groupby(t for _, _, t, _ in later)],
        "evaluations": len(evaluations) + len(later),
        "seconds": round(sum(float(lap) for *_, lap in (*evaluations, *later)), 3),
    }


def _origin(inputs_used: list[str], seeds: list[int], evaluated: bool) -> str:
    """Whether a panel was sampled, edited from an input, merely noised, or is the input as it was."""
    if evaluated:
        return "edit" if inputs_used else "sample"
    return "noised" if seeds else "photograph"


def _reword(folder: Path, section_id: str) -> None:
    """Put the words of a section's declaration into its record where they changed; its pixels stay."""
    record = staleness.read_record(folder)
    if record is None or record["words"] == staleness.words_digest(section_id):
        return
    section = load_section(section_id)
    record["title"], record["words"] = section.title, staleness.words_digest(section_id)
    for figure, kept in zip(section.figures, record["figures"], strict=True):
        kept["caption"] = figure.caption_text()
        for case, panel in zip(figure.cases, kept["panels"], strict=True):
            found = panel["found"]
            panel["row"] = figure.row_of(case)
            panel["label"], panel["alt"] = figure.label_of(case, found), figure.alt_of(case, found)
    _write_json(folder / "record.json", record)


def _expected(root: Path, model: str, section_id: str) -> int:
    """How many evaluations the section took when it was last drawn, here or for the published page; 0 if unknown."""
    for record in (
        staleness.read_record(state_folder(root, model) / section_id),
        staleness.read_json(root / "site" / "records" / f"{section_id}.json"),
    ):
        try:
            if record and record["model"]["name"] == model:
                return int(record["evaluations"])
        except (KeyError, TypeError, ValueError):
            continue  # a damaged record; what it is of is drawn again or refused by the page
    return 0


@contextmanager
def _alone(state: Path, report: Report) -> Iterator[None]:
    """Hold the lock of this state folder; where another run holds it, say so and wait."""
    lock = FileLock(state / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report.waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _in_place_of(folder: Path) -> Iterator[Path]:
    """A new folder to write into; at the end it takes the place of `folder`. After an error nothing has changed."""
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


def _write_json(path: Path, content: Any) -> None:
    """Sorted text, written beside and put in place by a rename."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
