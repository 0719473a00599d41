"""`make full-size MODEL=deepfloyd`: DeepFloyd's real path over weights of the real size, under a limit of memory.

The weights are random and are written for this, shard by shard. Each part of the work is a process of its own, with a
limit on its data (RLIMIT_DATA: all memory but for mapped files), so that what fits is shown and not estimated.
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

from ..models import NAMES, ModelError, load, variable
from ..models.deepfloyd import random_weights
from ..models.deepfloyd import weights as places
from ..models.deepfloyd.machine import CPU, GB, disk
from ..models.deepfloyd.plan import Layers
from ..models.deepfloyd.text import Embeddings, encode
from ..running import run, staleness
from . import machine
from .__main__ import put

SHAPES = {"deepfloyd": "I-XL", "deepfloyd-l": "I-L", "deepfloyd-m": "I-M"}
LIMITS = {"text": 3.0, "stage 1": 6.0, "stage 2": 6.0, "stage 3": 8.0}  # GB of each part, the program itself included
SPARE = 1.05  # of the disk


class Watch:
    """The most memory of this process since it began, apart from mapped files, and its seconds."""

    def __init__(self) -> None:
        self.peak, self._ended = 0, threading.Event()
        self.began, self.worked = time.perf_counter(), time.process_time()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            self.peak = max(self.peak, machine.anonymous_memory() or 0)

    def stop(self) -> dict[str, float]:
        """wall: seconds; cores: those that all cores worked, which other programs do not lengthen; peak: bytes."""
        self._ended.set()
        seconds, cores = time.perf_counter() - self.began, time.process_time() - self.worked
        return {"wall": seconds, "cores": cores, "peak": self.peak}


class Progress(run.Observer):
    """Says how far a section is, and how long it still takes."""

    def __init__(self, expected: int) -> None:
        self.expected, self.done_so_far, self.began = expected, 0, time.monotonic()

    def evaluated(self, count: int) -> None:
        self.done_so_far += count
        left = (time.monotonic() - self.began) / self.done_so_far * (self.expected - self.done_so_far)
        click.echo(f"  evaluation {self.done_so_far} of {self.expected}, about {left:.0f} s left", err=True)


def text(name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """All the prompts of the report by T5-XXL."""
    prompts = run.asked_of(staleness.sections()).prompts
    kept = Embeddings(places.CACHE / "embeddings", places.encoder(name, folder))
    layers = Layers(name, lambda line: click.echo(line, err=True))
    watch = Watch()
    encode(prompts, kept, folder / "stage_1", "fp16", CPU, layers.passed)
    return {**watch.stop(), "did": f"{len(prompts)} prompts"}


def stage_1(name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """Sections, drawn as `report section` draws them."""
    rate = machine.core_rate()
    loading = Watch()
    model = load(name)
    loaded = loading.stop()["wall"]
    watch, expected = Watch(), run.asked_of(sections).first
    model.on_evaluated = Progress(expected).evaluated
    records = [run.draw_section(run.load_section(key), model, folder / "drawn" / key) for key in sections]
    found = watch.stop()
    rate = max(rate, machine.core_rate())
    evaluations = sum(record["evaluations"] for record in records)
    did = f"sections {' and '.join(sections)}: {evaluations} evaluations in {model.calls} forwards"
    return {**found, "load": loaded, "evaluations": evaluations, "rate": rate, "did": did}


def stage_2(name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """One forward of stage 2, of both halves of a guided step."""
    model = load(name)
    watch, generator = Watch(), torch.Generator().manual_seed(0)
    with torch.inference_mode():
        x, given = model.second.begin(model.blank(), generator)
        model.second.predict(torch.stack([x, x]), torch.tensor([500, 500]), ["", ""], torch.stack([given, given]))
    return {**watch.stop(), "evaluations": 2, "did": "one forward of two images"}


def stage_3(name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any]:
    """One step of stage 3, guided, and the autoencoder."""
    from ..models.deepfloyd.cascade import ThirdStage

    model = load(name)
    ThirdStage.steps = 1
    watch = Watch()
    model.enlarge(torch.zeros(3, 256, 256), "", torch.Generator().manual_seed(0))
    return {**watch.stop(), "evaluations": 2, "did": "one step of two images, and 1024 × 1024 pixels decoded"}


PARTS: dict[str, Callable[[str, Path, Sequence[str]], dict[str, Any]]] = {
    "text": text,
    "stage 1": stage_1,
    "stage 2": stage_2,
    "stage 3": stage_3,
}


def limited(part: str, name: str, folder: Path, sections: Sequence[str]) -> dict[str, Any] | None:
    """Do a part in a process of its own, under its limit; None where it does not fit. Raises ModelError."""
    command = [sys.executable, "-m", __spec__.name, "--model", name, "--folder", str(folder), "--part", part]
    command += [word for section in sections for word in ("--section", section)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode == 3:
        return None
    if done.returncode:
        raise ModelError(f"{name}: {part} at full size failed; its error stands above")
    return json.loads(done.stdout.splitlines()[-1])


def alone(part: str, name: str, folder: Path, sections: Sequence[str]) -> None:
    """Be that process: set the limit, do the part, print what was measured."""
    import resource

    places.CACHE = folder / "cache"
    resource.setrlimit(resource.RLIMIT_DATA, (int(LIMITS[part] * GB),) * 2)
    try:
        found = PARTS[part](name, folder, sections)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, ModelError) or "memory" not in str(error).lower():
            raise
        click.echo(f"{part}: does not fit in {LIMITS[part]:g} GB ({error})", err=True)
        sys.exit(3)
    click.echo(json.dumps(found))


def table(name: str, found: dict[str, dict[str, Any] | None], written: float) -> str:
    """The measurements in markdown."""
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
    """Say what will be written, and whether there is room. Raises ModelError where not; ends where the answer is no."""
    free = disk(folder)
    if size * SPARE > free:
        raise ModelError(
            f"{folder}: {name} at full size needs {size * SPARE / GB:.1f} GB, and {free / GB:.1f} are free; free some "
            "space, or name a folder on another disk by FOLDER=…"
        )
    click.echo(
        f"{size / GB:.1f} GB of random weights will be written to {folder} ({free / GB:.1f} GB are free).", err=True
    )
    if not yes:
        click.confirm("Go on?", abort=True, err=True)


@click.command()
@click.option("--model", "name", type=click.Choice(NAMES[1:]), default="deepfloyd", show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where the weights go; else a folder in ~/.cache.")
@click.option("--section", "sections", multiple=True, default=("1.3", "1.4"), show_default=True, help="What to draw.")
@click.option("--keep", is_flag=True, help="Leave the weights there, for another time.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--write", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Put the table in here.")
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
    """Run DeepFloyd's real path over random weights of the real size, each part under a limit of memory."""
    folder = folder or Path.home() / ".cache" / "diffusion-report" / f"full-size-{name}"
    try:
        if part:
            return alone(part, name, folder, sections)
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
            found = {part: limited(part, name, folder, sections) for part in PARTS}
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
