"""`make bench-gpu`: measures on a CUDA GPU, within a quarter of an hour, what DeepFloyd's plan assumes, and pocket.

Stage 1 runs as the report runs it, over files of random float16 weights: held, in turn and layer by layer; with and
without channels-last; with and without the cache of outputs. pocket's images are compared with the CPU's.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import click
import torch
from torch import Tensor

from ..models import SHIPPED
from ..models.base import Query
from ..models.deepfloyd.cascade import BY_LAYER, HELD, IN_TURN, DeepFloyd, Spot
from ..models.deepfloyd.machine import CHUNK, CPU, CUDA, TOKENS
from ..models.forward_cache import ForwardCache
from ..pipeline import PocketPipeline
from ..prompts import PHOTO
from . import machine
from .configurations import CONFIGURATIONS, first, scheduler, size
from .random_weights import write_component
from .tables import markdown, put, write_option

SHAPES = ("I-M", "I-XL")
FORWARDS = 8  # timed, after one that is not


class Way(NamedTuple):
    """How stage 1's weights are loaded and laid out, and whether its outputs are cached."""

    offloading: str
    layout: torch.memory_format = torch.channels_last
    cached: bool = False


WAYS = (
    Way(HELD),
    Way(HELD, layout=torch.contiguous_format),
    Way(HELD, cached=True),
    Way(IN_TURN),
    Way(BY_LAYER),
)


def write_weights(folder: Path, name: str) -> None:
    """Writes stage_1/ of this configuration with random weights."""
    with torch.device("meta"):
        unet = first(CONFIGURATIONS[name])
    for _ in write_component(folder / "stage_1" / "unet", unet):
        pass
    scheduler(1.5).save_pretrained(folder / "stage_1" / "scheduler")


def queries(device: torch.device) -> list[Query]:
    """Returns a full forward of guided steps, at several timesteps."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(CHUNK["stage_1"] // 2, 3, 64, 64, generator=generator).to(device)
    return [Query(prompt, image, 990 - 30 * k) for k, image in enumerate(images) for prompt in (PHOTO, "")]


def measure(folder: Path, name: str, way: Way, device: torch.device) -> tuple[dict[str, str], Tensor]:
    """Returns a row of the table, and the noise that the last forward estimated."""

    def embedding(prompt: str) -> Tensor:
        generator = torch.Generator().manual_seed(crc32(prompt.encode()))
        return torch.randn(1, TOKENS, CONFIGURATIONS[name].text, generator=generator)

    machine.forget_peak(device)
    began = machine.finished(device)
    spots = {"stage_1": Spot(device, way.offloading, CHUNK["stage_1"])}
    model = DeepFloyd("deepfloyd", {"stage_1": folder / "stage_1"}, spots, embedding)
    model.enter("stage_1")
    loading = machine.finished(device) - began
    model.first.unet.set_layout(way.layout)
    asked = queries(device)
    if way.cached:
        model.meter.cache = ForwardCache(folder / "outputs", name)
    model.first.answer(asked)
    began = machine.finished(device)
    for _ in range(FORWARDS):
        answers = model.first.answer(asked)
    seconds = (machine.finished(device) - began) / FORWARDS
    if model.meter.cache:
        model.meter.cache.forget()
    peak, rate = machine.peak_memory(device), size(CONFIGURATIONS[name]).flop * len(asked) / seconds
    cells = {
        "weights": way.offloading,
        "channels-last": "yes" if way.layout == torch.channels_last else "no",
        "cache": "yes" if way.cached else "no",
        "loading, s": f"{loading:.1f}",
        "a forward, s": f"{seconds:.3f}",
        "TFLOP/s": f"{rate / 1e12:.3g}",
        "GB": "unknown" if peak is None else f"{peak / 2**30:.2f}",
    }
    return cells, torch.stack([noise.eps for noise, _ in answers]).cpu()


def table(name: str, device: torch.device) -> str:
    """Measures all ways of a configuration; the weights are written to a temporary folder first."""
    folder = Path(tempfile.mkdtemp(prefix="report-bench-"))
    try:
        write_weights(folder, name)
        rows, noises = [], []
        for way in WAYS:
            cells, noise = measure(folder, name, way, device)
            noises.append(noise)
            rows.append({**cells, "differs": f"{float((noise - noises[0]).square().mean().sqrt()):.1g}"})
            click.echo(f"{name}: {cells}", err=True)
            torch.cuda.empty_cache()
    finally:
        shutil.rmtree(folder)
    head = (
        f"{name} in float16 on {machine.description(device)}, {CHUNK['stage_1']} images a forward, "
        f"{size(CONFIGURATIONS[name]).flop / 1e12:.3g} TFLOP each; torch {torch.__version__}."
    )
    return markdown(head, rows)


def pocket(device: torch.device, pixels: int = 256, stride: int = 30) -> str:
    """Draws four samples with pocket on the CPU and on the device, and returns a table of both."""
    drawn, rows = {}, []
    for place in (CPU, device):
        pipeline = PocketPipeline.from_pretrained(SHIPPED).to(place)
        pipeline.set_progress_bar_config(disable=True)
        began = machine.finished(place)
        images = pipeline(PHOTO, pixels=pixels, stride=stride, num_images_per_prompt=4, output_type="pt").images.cpu()
        seconds = time.perf_counter() - began
        drawn[place] = (images * 255).round()
        difference = (drawn[place] - drawn[CPU]).abs()
        rows.append(
            {
                "device": machine.description(place),
                "seconds": f"{seconds:.1f}",
                "equal values": f"{float((difference == 0).float().mean()):.2%}",
                "largest difference, of 255": f"{int(difference.max())}",
            }
        )
    head = f"pocket, four samples of “{PHOTO}” at {pixels} pixels, in float32; torch {torch.__version__}."
    return markdown(head, rows)


@click.command()
@write_option
def main(write: Path | None) -> None:
    """Measure DeepFloyd's stage 1 and pocket on this machine's GPU, and print the tables."""
    if not torch.cuda.is_available():
        raise click.ClickException("no CUDA GPU here; run this on a machine with one")
    # pocket and the small configuration first: they tell something even if the time is over before the rest.
    measurements: dict[str, Callable[[torch.device], str]] = {"pocket on a GPU": pocket}
    measurements |= {f"weights of {name}": partial(table, name) for name in SHAPES}
    for title, measured in measurements.items():
        text = measured(CUDA)
        click.echo(f"{text}\n")
        if write:
            put(write, title, text)


if __name__ == "__main__":
    main()
