"""A session: a loaded model that draws sections, each as a whole, and writes their panels and records.

All cases of a section run together (see `diffusion.batching`); a section drawn alone is identical to the same section
in a full run. A section's folder is replaced as a whole, so a run killed at any time leaves only complete sections.
Slow models cache the outputs of their networks until the section is complete (see `models.forward_cache`).
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import models
from ..figures import Section
from ..records.files import replacing
from ..records.record import FILE, FORMAT, write
from . import processor
from .cost import Cost
from .drawing import trajectory_record, works, write_panel

if TYPE_CHECKING:
    from ..diffusion.batching import Task
    from ..models.base import Cascade

LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow")


class Observer:
    """Receives the progress of a run and ignores it. The command line's subclass shows progress bars."""

    def waits(self, line: str) -> None:
        """This run waits for another one to end; the line says for which."""
        self.planned(line)

    def begin(self, todo: dict[str, tuple[str, Cost]]) -> None:
        """A run begins. todo: for each section id, why it is drawn and what that is expected to take."""

    def planned(self, line: str) -> None:
        """Receives one line of a large model's plan: its requirements and its preparation."""

    def section(self, section_id: str, title: str) -> None:
        """A section begins."""

    def evaluated(self, count: int, section_id: str = "") -> None:
        """The networks have evaluated `count` more images, for this section, or for the one that has begun here."""

    def done(self, section_id: str, record: dict[str, Any]) -> None:
        """A section has been written to disk, with this record."""


def workload(sections: Iterable[Section], steps: int = 1, guided: bool = False) -> models.Workload:
    """Returns what these sections ask of a model whose second stage takes `steps` steps, guided or not; the workload of
    stage 1 is the same for every model.

    Raises DrawingError if a `draw` fails or does not return a panel.
    """
    import torch

    from .dry_run import DryRunModel

    model, threads = DryRunModel(steps, guided), torch.get_num_threads()
    torch.set_num_threads(1)  # more threads only add overhead on such small tensors
    try:
        for section in sections:
            _run(section, model)
    finally:
        torch.set_num_threads(threads)
    first, second, third = (sum(images for stage, images in model.asked if stage == number) for number in (1, 2, 3))
    return models.Workload(tuple(model.prompts), first, second, third, tuple(model.asked))


def prepare(model: str, sections: Iterable[Section], tell: Callable[[str], None], here: bool = True) -> None:
    """Prepares the model for the workload of these sections. tell: receives the lines of the plan. here: whether this
    process will draw; see `models.prepare`. Raises ModelError or DrawingError."""
    models.prepare(model, partial(workload, list(sections)), tell, here)


def _run(section: Section, model: Cascade) -> list[Task]:
    """Runs all cases of a section together."""
    import torch

    from ..diffusion import batching
    from ..lab import Lab

    with torch.inference_mode():
        return batching.run(works(section, Lab(model)))


class Session:
    """A loaded model, and who hears of its evaluations."""

    def __init__(self, model: Cascade, observer: Observer) -> None:
        self.model = model
        # What cached outputs depend on, as it is now: a model may note how it decodes while it draws.
        self.answers = [provenance(model), processor.name(model.device)] if model.resumes else []
        model.meter.on_evaluated = observer.evaluated

    def draw(
        self, section: Section, folder: Path, about: Mapping[str, Any], source: str | None = None
    ) -> dict[str, Any]:
        """Draws all cases of a section together, replaces the folder by its panels and its record, and returns the
        record.

        about: further fields of the record, or others in their place. source: the digest of the section's definitions;
        None for a picture outside the report, of which nobody asks whether it is stale. Raises DrawingError if a `draw`
        fails or does not return a panel, InputError or ModelError; the folder is then unchanged.
        """
        from ..models.forward_cache import ForwardCache

        model, meter = self.model, self.model.meter
        began, calls, evaluations = time.perf_counter(), meter.calls, meter.evaluations
        if source and model.resumes:
            depends = json.dumps([*self.answers, source], sort_keys=True)
            meter.cache = ForwardCache(forward_cache_of(folder), depends)
        try:
            drawn = _run(section, model)
            model.wait()
            read = meter.cache.seconds if meter.cache else 0.0  # what the cached outputs took when they were computed
            record = {
                "format": FORMAT,
                "id": section.id,
                "title": section.title,
                **provenance(model),
                "drawn": datetime.now(UTC).isoformat(),
                "where": processor.where(model.device),
                "seconds": round(time.perf_counter() - began + read, 3),
                "network_calls": meter.calls - calls,
                "evaluations": meter.evaluations - evaluations,
                "depends": {
                    "weights": model.digest,
                    "source": source,
                    "inputs": {name: digest for task in drawn for name, digest in task.trace.inputs.items()},
                },
                **about,
            }
            with replacing(folder) as new:
                record |= _written(section, drawn, new)
                prompts = dict.fromkeys(prompt for walk in record["trajectories"] for prompt in walk["prompts"])
                record["hints"] = {prompt: hint for prompt in prompts if (hint := model.hint(prompt))}
                write(new / FILE, record)
            if meter.cache:
                meter.cache.forget()
        finally:
            if meter.cache:
                meter.cache.close()
            meter.cache = None
        return record


def _written(section: Section, drawn: list[Task], folder: Path) -> dict[str, Any]:
    """Writes the panels and returns the record's figures and trajectories."""
    walks = dict.fromkeys(walk for task in drawn for walk in task.trace.trajectories if walk.evaluations)
    numbers = {walk: number for number, walk in enumerate(walks)}
    tasks, figures = iter(drawn), []
    for figure in section.figures:
        panels = [
            write_panel(folder, f"{figure.name}-{number:02}.webp", section, figure, case, next(tasks), numbers)
            for number, case in enumerate(figure.cases, 1)
        ]
        figures.append({"name": figure.name, "caption": figure.caption_text(), "panels": panels})
    return {"figures": figures, "trajectories": list(map(trajectory_record, walks))}


def provenance(model: Cascade) -> dict[str, Any]:
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
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }


def forward_cache_of(folder: Path) -> Path:
    """Returns the folder that caches the networks' outputs while the section of `folder` is drawn."""
    return folder.with_name(f".{folder.name}.outputs")
