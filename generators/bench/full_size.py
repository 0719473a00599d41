"""`make full-size MODEL=deepfloyd`: runs DeepFloyd's real code path over full-size random weights, under a memory
limit.

The weights are written shard by shard. Each part of the work runs in its own process with a limit on its data
(RLIMIT_DATA: all memory except mapped files), so the result shows what fits instead of estimating it.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import torch

from ..models import NAMES, load, variable
from ..models.deepfloyd import weights as places
from ..models.deepfloyd.machine import CPU, GB, disk
from ..models.deepfloyd.plan import Layers
from ..models.deepfloyd.text import Embeddings, encode
from ..records.errors import ModelError
from ..running import run, staleness
from ..running.session import Observer, Session, workload
from . import machine, random_weights
from .__main__ import put

SHAPES = {"deepfloyd": "I-XL", "deepfloyd-l": "I-L", "deepfloyd-m": "I-M"}
LIMITS = {"text": 3.0, "stage 1": 6.0, "stage 2": 6.0, "stage 3": 8.0}  # GB for each part, including the program itself
SPARE = 1.05  # factor on the disk space needed


class Usage:
    """Measures this process from its creation: peak memory without mapped files, and time."""

    def __init__(self) -> None:
        self.peak, self._ended = 0, threading.Event()
        self.began, self.worked = time.perf_counter(), time.process_time()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            self.peak = max(self.peak, machine.anonymous_memory() or 0)

    def stop(self) -> dict[str, float]:
        """Returns wall: seconds; cores: CPU seconds of all cores, which other programs do not lengthen; peak: bytes."""
        self._ended.set()
        seconds, cores = time.perf_counter() - self.began, time.process_time() - self.worked
        return {"wall": seconds, "cores": cores, "peak": self.peak}


class Progress(Observer):
    """Prints the progress of a section and the time left."""

    def __init__(self, expected: int) -> None:
        self.expected, self.done_so_far, self.began = expected, 0, time.monotonic()

    def evaluated(self, count: int) -> None:
        self.done_so_far += count
        left = (time.monotonic() - self.began) / self.done_so_far * (self.expected - self.done_so_far)
        click.echo(f"  evaluation {self.done_so_far} of {self.expected}, about {left:.0f} s left", err=True)


def text(name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """Encodes all prompts of the report with T5-XXL."""
    prompts = workload(map(run.load_section, staleness.sections())).prompts
    kept = Embeddings(places.CACHE / "embeddings", places.encoder(name, folder))
    layers = Layers(name, lambda line: click.echo(line, err=True))
    watch = Usage()
    encode(prompts, kept, folder / "stage_1", "fp16", CPU, layers.passed)
    return {**watch.stop(), "did": f"{len(prompts)} prompts"}


def stage_1(name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """Draws sections as `report section` does."""
    rate = machine.core_rate()
    declared = list(map(run.load_section, sections))
    progress, loading = Progress(workload(declared).first), Usage()
    session = Session(load(name), progress)
    loaded = loading.stop()["wall"]
    watch = Usage()
    records = [run.draw_section(session, each, folder / "drawn" / each.id, progress) for each in declared]
    found = watch.stop()
    rate = max(rate, machine.core_rate())
    evaluations = sum(record["evaluations"] for record in records)
    did = f"sections {' and '.join(sections)}: {evaluations} evaluations in {session.model.meter.calls} forwards"
    return {**found, "load": loaded, "evaluations": evaluations, "rate": rate, "did": did}


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
    from ..models.deepfloyd.cascade import ThirdStage

    model = load(name)
    ThirdStage.steps = 1
    watch = Usage()
    model.enlarge(torch.zeros(3, 256, 256), "", torch.Generator().manual_seed(0))
    return {**watch.stop(), "evaluations": 2, "did": "one step of two images, and 1024 × 1024 pixels decoded"}


PARTS: dict[str, Callable[[str, Path, Sequence[str]], dict[str, Any]]] = {
    "text": text,
    "stage 1": stage_1,
    "stage 2": stage_2,
    "stage 3": stage_3,
}


def run_limited(part: str, name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any] | None:
    """Runs a part in its own process under its limit. Returns None if it does not fit. Raises ModelError if it fails
    otherwise."""
    command = [sys.executable, "-m", __spec__.name, "--model", name, "--folder", str(folder), "--part", part]
    command += [word for section in sections for word in ("--section", section)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode == 3:
        return None
    if done.returncode:
        raise ModelError(f"{name}: {part} at full size failed; see its error above")
    return json.loads(done.stdout.splitlines()[-1])


def run_part(part: str, name: str, folder: Path, sections: Sequence[str]) -> None:
    """Runs in that process: sets the limit, does the part, prints the measurements as JSON."""
    import resource

    places.CACHE = folder / "cache"
    resource.setrlimit(resource.RLIMIT_DATA, (int(LIMITS[part] * GB),) * 2)
    try:
        found = PARTS[part](name, folder, sections)
    except (MemoryError, RuntimeError) as error:
        if "memory" not in str(error).lower():
            raise
        click.echo(f"{part}: does not fit in {LIMITS[part]:g} GB ({error})", err=True)
        sys.exit(3)
    click.echo(json.dumps(found))


def table(name: str, found: dict[str, dict[str, Any] | None], written: float) -> str:
    """Returns the measurements as a Markdown table."""
    lines = [
        f"`make full-size MODEL={name}`: {SHAPES[name]}, II-L, the upscaler and T5-XXL, random float16 weights "
        f"({written / GB:.1f} GB) on disk, on {machine.description(CPU)}; torch {torch.__version__}.",
        "",
        "| part | what | limit, GB | peak anonymous, GB | loading, s | seconds | core seconds | an evaluation |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part, row in found.items():
        if row is None:
            lines.append(f"| {part} | does not fit | {LIMITS[part]:g} | | | | | |")
            continue
        each = f"{row['cores'] / row['evaluations']:.1f}" if "evaluations" in row else ""
        load_time = f"{row['load']:.1f}" if "load" in row else ""
        lines.append(
            f"| {part} | {row['did']} | {LIMITS[part]:g} | {row['peak'] / GB:.2f} | {load_time} | {row['wall']:.0f} | "
            f"{row['cores']:.0f} | {each} |"
        )
    if first := found.get("stage 1"):
        flop = places.FIRST[name].flop
        lines += [
            "",
            f"A core multiplies matrices at {first['rate'] / 1e12:.3g} TFLOP a second of its own, in float32, measured "
            f"before and after; at that rate an evaluation of {SHAPES[name]} ({flop / 1e12:.2f} TFLOP) takes "
            f"{flop / first['rate']:.1f} core seconds.",
        ]
    return "\n".join(lines)


def ask(name: str, folder: Path, size: float, yes: bool) -> None:
    """Prints how much will be written and asks for confirmation; exits if declined. Raises ModelError if the disk is
    too small."""
    free = disk(folder)
    if size * SPARE > free:
        raise ModelError(
            f"{folder}: {name} at full size needs {size * SPARE / GB:.1f} GB, and {free / GB:.1f} are free; free some "
            "space, or set FOLDER=… to a folder on another disk"
        )
    click.echo(
        f"{size / GB:.1f} GB of random weights will be written to {folder} ({free / GB:.1f} GB are free).", err=True
    )
    if not yes:
        click.confirm("Go on?", abort=True, err=True)


@click.command()
@click.option("--model", "name", type=click.Choice(NAMES[1:]), default="deepfloyd", show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Folder for the weights; default: in ~/.cache.")
@click.option("--section", "sections", multiple=True, default=("1.3", "1.4"), show_default=True, help="What to draw.")
@click.option("--keep", is_flag=True, help="Keep the weights for the next run.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--write", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Write the table to this file."
)
@click.option("--part", type=click.Choice(list(PARTS)), hidden=True)
def main(
    name: str,
    folder: Path | None,
    sections: tuple[str, ...],
    keep: bool,
    yes: bool,
    write: Path | None,
    part: str | None,
) -> None:
    """Run DeepFloyd's real code path over full-size random weights, each part under a memory limit."""
    folder = folder or Path.home() / ".cache" / "diffusion-report" / f"full-size-{name}"
    try:
        if part:
            return run_part(part, name, folder, sections)
        size = random_weights.size(SHAPES[name])
        whole = folder / "whole"
        try:
            if not whole.exists():
                ask(name, folder, size, yes)
                began = time.monotonic()
                random_weights.write(
                    folder, SHAPES[name], lambda file, done: click.echo(_progress(file, done, began), err=True)
                )
                whole.touch()
            os.environ[variable(name)] = str(folder)
            for line in itertools.chain(*run.examine(name, sections)):
                click.echo(line, err=True)
            found = {part: run_limited(part, name, folder, sections) for part in PARTS}
        finally:
            if folder.exists() and not keep:
                shutil.rmtree(folder)
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    text_ = table(name, found, size)
    click.echo(text_)
    if write:
        put(write, f"full size of {name}", text_)


def _progress(file: str, done: float, began: float) -> str:
    left = (time.monotonic() - began) / done * (1 - done)
    return f"wrote {file}, about {left:.0f} s left"


if __name__ == "__main__":
    main()
