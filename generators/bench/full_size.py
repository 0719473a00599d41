"""`make full-size MODEL=deepfloyd`: runs DeepFloyd's real code path over full-size random weights, under a memory
limit.

The weights are written shard by shard. Each phase of the work runs in its own process with a limit on its data
(RLIMIT_DATA: all memory except mapped files), so the result shows what fits instead of estimating it.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click
import psutil
import torch

from ..models import NAMES, load, variable
from ..models.deepfloyd import weights
from ..models.deepfloyd.cascade import ThirdStage
from ..models.deepfloyd.machine import CPU, GB, disk, matmul_rate
from ..models.deepfloyd.plan import Progress, t5_embeddings
from ..models.deepfloyd.text import encode
from ..records.errors import ModelError
from ..running import run, staleness
from ..running.session import Observer, Session, workload
from . import machine, random_weights
from .tables import markdown, put, write_option

SHAPES = {"deepfloyd": "I-XL", "deepfloyd-l": "I-L", "deepfloyd-m": "I-M"}
LIMITS = {"text": 3.0, "stage 1": 6.0, "stage 2": 6.0, "stage 3": 8.0}  # GB for each phase and the program itself
SPARE = 1.05  # factor on the disk space needed
tell = partial(click.echo, err=True)


class Usage:
    """Measures this process from its creation: peak memory without mapped files, and time."""

    def __init__(self) -> None:
        self.peak, self._ended = 0, threading.Event()
        self.began, self.worked = time.perf_counter(), time.process_time()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            memory = psutil.Process().memory_info()
            self.peak = max(self.peak, memory.rss - getattr(memory, "shared", 0))  # which mapped files are, on Linux

    def stop(self) -> dict[str, float]:
        """Returns wall: seconds; cores: CPU seconds of all cores, which other programs do not lengthen; peak: bytes."""
        self._ended.set()
        seconds, cores = time.perf_counter() - self.began, time.process_time() - self.worked
        return {"wall": seconds, "cores": cores, "peak": self.peak}


class Evaluations(Observer):
    """Prints the progress of a section and the time left."""

    def __init__(self, expected: int) -> None:
        self.expected, self.done_so_far, self.progress = expected, 0, Progress(tell)

    def evaluated(self, count: int, section_id: str = "") -> None:
        self.done_so_far += count
        what = f"  evaluation {self.done_so_far} of {self.expected}"
        self.progress(what, self.done_so_far / self.expected)


def text(name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """Encodes all prompts of the report with T5-XXL."""
    prompts = workload(map(run.load_section, staleness.sections())).prompts
    watch = Usage()
    encode(prompts, t5_embeddings(name, folder), folder / "stage_1", CPU, Progress(tell, f"{name}: encoding  "))
    return {**watch.stop(), "did": f"{len(prompts)} prompts"}


def stage_1(name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """Draws sections as `report section` does."""
    rates = [_core_rate()]
    declared = list(map(run.load_section, sections))
    progress, loading = Evaluations(workload(declared).first), Usage()
    session = Session(load(name), progress)
    loaded = loading.stop()["wall"]
    watch = Usage()
    records = [run.draw_section(session, each, folder / "drawn" / each.id, progress) for each in declared]
    found = watch.stop()
    rates.append(_core_rate())
    evaluations = sum(record["evaluations"] for record in records)
    did = f"sections {' and '.join(sections)}: {evaluations} evaluations in {session.model.meter.calls} forwards"
    return {**found, "load": loaded, "evaluations": evaluations, "rate": max(rates), "did": did}


def _core_rate() -> float:
    """Returns the FLOP/s of a matrix product per CPU second, independent of other load."""
    return matmul_rate(CPU, torch.float32, 2048, time.process_time)


def stage_2(name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """Runs one forward of stage 2 on both halves of a guided step."""
    model = load(name)
    watch, generator = Usage(), torch.Generator().manual_seed(0)
    with torch.inference_mode():
        x, given = model.second.begin(model.blank(), generator)
        model.second.predict(torch.cat([x, given]).expand(2, -1, -1, -1), torch.tensor([500, 500]), ["", ""])
    return {**watch.stop(), "evaluations": 2, "did": "one forward of two images"}


def stage_3(name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """Runs one guided step of stage 3, and the autoencoder."""
    model = load(name)
    ThirdStage.steps = 1
    watch = Usage()
    model.enlarge(torch.zeros(3, 256, 256), "", torch.Generator().manual_seed(0))
    return {**watch.stop(), "evaluations": 2, "did": "one step of two images, and 1024 × 1024 pixels decoded"}


PHASES = {"text": text, "stage 1": stage_1, "stage 2": stage_2, "stage 3": stage_3}


def run_limited(phase: str, name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any] | None:
    """Runs a phase in its own process under its limit. Returns None if it does not fit. Raises ModelError if it fails
    otherwise."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(run_phase, phase, name, folder, sections).result()
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or "memory" in str(error).lower():
                tell(f"{phase}: does not fit in {LIMITS[phase]:g} GB ({error})")
                return None
            traceback.print_exception(error)
            raise ModelError(f"{name}: {phase} at full size failed; see its error above") from error


def run_phase(phase: str, name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """Runs in that process: sets the limit, does the phase, returns the measurements."""
    import resource

    weights.CACHE = folder / "cache"
    resource.setrlimit(resource.RLIMIT_DATA, (int(LIMITS[phase] * GB),) * 2)
    return PHASES[phase](name, folder, sections)


def table(name: str, found: dict[str, dict[str, Any] | None], written: float) -> str:
    """Returns the measurements as a Markdown table."""
    head = (
        f"`make full-size MODEL={name}`: {SHAPES[name]}, II-L, the upscaler and T5-XXL, random float16 weights "
        f"({written / GB:.1f} GB) on disk, on {machine.description(CPU)}; torch {torch.__version__}."
    )
    rows = []
    for phase, row in found.items():
        cells = {"phase": phase, "what": "does not fit", "limit, GB": f"{LIMITS[phase]:g}"}
        if row:
            cells |= {
                "what": row["did"],
                "peak anonymous, GB": f"{row['peak'] / GB:.2f}",
                "loading, s": f"{row['load']:.1f}" if "load" in row else "",
                "seconds": f"{row['wall']:.0f}",
                "core seconds": f"{row['cores']:.0f}",
                "an evaluation": f"{row['cores'] / row['evaluations']:.1f}" if "evaluations" in row else "",
            }
        rows.append(cells)
    text = markdown(head, rows)
    if first := found.get("stage 1"):
        flop = weights.FIRST[name].flop
        text += (
            f"\n\nA core multiplies matrices at {first['rate'] / 1e12:.3g} TFLOP a second of its own, in float32, "
            f"measured before and after; at that rate an evaluation of {SHAPES[name]} ({flop / 1e12:.2f} TFLOP) takes "
            f"{flop / first['rate']:.1f} core seconds."
        )
    return text


def ask(name: str, folder: Path, size: float, yes: bool) -> None:
    """Prints how much will be written and asks for confirmation; exits if declined. Raises ModelError if the disk is
    too small."""
    free = disk(folder)
    if size * SPARE > free:
        raise ModelError(
            f"{folder}: {name} at full size needs {size * SPARE / GB:.1f} GB, and {free / GB:.1f} are free; free some "
            "space, or set FOLDER=… to a folder on another disk"
        )
    tell(f"{size / GB:.1f} GB of random weights will be written to {folder} ({free / GB:.1f} GB are free).")
    if not yes:
        click.confirm("Go on?", abort=True, err=True)


@click.command()
@click.option("--model", "name", type=click.Choice(NAMES[1:]), default="deepfloyd", show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Folder for the weights; default: in ~/.cache.")
@click.option("--section", "sections", multiple=True, default=("1.3", "1.4"), show_default=True, help="What to draw.")
@click.option("--keep", is_flag=True, help="Keep the weights for the next run.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@write_option
def main(
    name: str,
    folder: Path | None,
    sections: tuple[str, ...],
    keep: bool,
    yes: bool,
    write: Path | None,
) -> None:
    """Run DeepFloyd's real code path over full-size random weights, each phase under a memory limit."""
    folder = folder or Path.home() / ".cache" / "diffusion-report" / f"full-size-{name}"
    try:
        size = random_weights.size(SHAPES[name])
        whole = folder / "whole"  # exists once all weights are written
        try:
            if not whole.exists():
                ask(name, folder, size, yes)
                random_weights.write(folder, SHAPES[name], Progress(tell))
                whole.touch()
            os.environ[variable(name)] = str(folder)
            for line in itertools.chain(*run.examine(name, sections)):
                tell(line)
            found = {phase: run_limited(phase, name, folder, sections) for phase in PHASES}
        finally:
            if folder.exists() and not keep:
                shutil.rmtree(folder)
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    text_ = table(name, found, size)
    click.echo(text_)
    if write:
        put(write, f"full size of {name}", text_)


if __name__ == "__main__":
    main()
