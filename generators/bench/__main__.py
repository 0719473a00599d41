"""Times several implementations of the report's stage-1 work, and prints or writes the table in
report/benchmarks.md."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from torch import Tensor

from . import machine, variants
from .configurations import CONFIGURATIONS, Configuration, RandomIF, size
from .tables import markdown, put, write_option
from .variants import NotebookLoop, Pipelines, ThisReport

SLOW = 0.5  # a precision whose products run at less than this share of float32's rate is emulated


@dataclass
class Row:
    """One implementation and its measurements.

    seconds: of the fastest visit. first: of the slowest first call, compilation included. rate: FLOP/s of a matrix
    product. peak: bytes, None if unknown. differs: root mean square difference of the pixels, in -1 … 1, from the first
    row's.
    """

    name: str
    lab: type[ThisReport]
    dtype: torch.dtype
    compiled: bool = False
    seconds: float = float("inf")
    first: float = 0.0
    rate: float = 0.0
    peak: int | None = None
    evaluations: int = 0
    calls: int = 0
    differs: float = 0.0


def rows(device: torch.device) -> list[Row]:
    """The implementations to compare: in float16 on a GPU, as IF is loaded there; in float32 on a CPU, the report's
    also in bfloat16."""
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    faster = Row("this report", ThisReport, torch.bfloat16)
    if device.type == "cuda":
        faster = Row("this report, compiled", ThisReport, dtype, compiled=True)
    return [
        Row("notebook loop", NotebookLoop, dtype),
        Row("diffusers' pipelines", Pipelines, dtype),
        Row("this report", ThisReport, dtype),
        faster,
    ]


def computed(measured: list[Row], device: torch.device, side: int) -> list[Row]:
    """Returns the rows whose precision this machine computes in; emulated precisions take minutes and say nothing."""
    rates = {row.dtype: machine.highest_rate(device, row.dtype, side) for row in measured}
    slow = {dtype for dtype, rate in rates.items() if rate < SLOW * rates.get(torch.float32, 0)}
    for dtype in slow:
        click.echo(f"{dtype} is left out: this processor has no instructions for it", err=True)
    return [row for row in measured if row.dtype not in slow]


def visit(row: Row, configuration: Configuration, device: torch.device, steps: int, side: int) -> list[Tensor]:
    """Measures a row once more with a newly built network and keeps the better time. Returns the panels' images."""
    row.rate = max(row.rate, machine.highest_rate(device, row.dtype, side))
    model = RandomIF(configuration, device.type, row.dtype, row.lab is ThisReport, row.compiled)
    began = machine.finished(device)
    with torch.inference_mode():
        for images in (1, 4):
            x, t = torch.zeros(images, 3, 64, 64, device=device), torch.zeros(images, dtype=torch.int64, device=device)
            model.first.predict(x, t, [""] * images)
    row.first = max(row.first, machine.finished(device) - began)
    machine.forget_peak(device)
    began = machine.finished(device)
    panels = variants.draw(row.lab, model, steps)
    row.seconds = min(row.seconds, machine.finished(device) - began)
    row.peak, row.evaluations, row.calls = machine.peak_memory(device), model.meter.evaluations, model.meter.calls
    return [panel.float().cpu() for panel in panels]


def compare(
    measured: list[Row], configuration: Configuration, device: torch.device, steps: int, visits: int, side: int
) -> list[Row]:
    """Measures the rows in turns, so that other load on the machine affects them alike. side: of `highest_rate`."""
    for turn in range(visits):
        first: list[Tensor] = []
        for row in measured:
            what = f"{configuration.name}, turn {turn + 1} of {visits}: {row.name}, {row.dtype}"
            click.echo(f"{what} … ", nl=False, err=True)
            panels = visit(row, configuration, device, steps, side)
            first = first or panels
            row.differs = float((torch.stack(panels) - torch.stack(first)).square().mean().sqrt())
            click.echo(f"{row.seconds:.1f} s", err=True)
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
    return measured


def table(configuration: Configuration, device: torch.device, steps: int, measured: list[Row]) -> str:
    """Returns the measurements as a Markdown table."""
    parameters, flop = size(configuration)
    pipelines = next(row for row in measured if row.lab is Pipelines)
    head = (
        f"{configuration.name} ({parameters / 1e6:,.0f} million parameters, {flop / 1e9:,.0f} GFLOP an evaluation) on "
        f"{machine.description(device)}; sections {', '.join(variants.SECTIONS)}, {steps} steps a trajectory; "
        f"torch {torch.__version__}."
    )
    lines = []
    for row in measured:
        achieved = row.evaluations * flop / row.seconds
        cells = {
            "variant": row.name,
            "dtype": str(row.dtype).removeprefix("torch."),
            "evaluations": f"{row.evaluations:,}",
            "calls": f"{row.calls:,}",
            "seconds": f"{row.seconds:.1f}" + (f" (first call {row.first:.0f})" if row.compiled else ""),
            "× pipelines": f"{pipelines.seconds / row.seconds:.2f}",
            "TFLOP/s": f"{achieved / 1e12:.3g}",
            "of products": f"{achieved / row.rate:.0%} of {row.rate / 1e12:.3g}",
            "GB": "unknown" if row.peak is None else f"{row.peak / 2**30:.2f}",
            "differs": f"{row.differs:.1g}",
        }
        lines.append(cells)
    return markdown(head, lines)


@click.command()
@click.option(
    "--shape",
    "names",
    multiple=True,
    type=click.Choice([*CONFIGURATIONS]),
    help="Default: small; on a GPU, I-M and I-XL.",
)
@click.option("--steps", type=click.IntRange(2, 34), help="Of each trajectory; default: 2, on a GPU 8.", metavar="N")
@click.option("--visits", default=2, type=click.IntRange(min=1), show_default=True, help="Measurements of each row.")
@write_option
def main(names: tuple[str, ...], steps: int | None, visits: int, write: Path | None) -> None:
    """Time the report's stage-1 work in several implementations and print a table for each configuration."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    thin, side = steps or (8 if on_gpu else 2), 8192 if on_gpu else 2048
    for name in names or (("I-M", "I-XL") if on_gpu else ("small",)):
        measured = compare(computed(rows(device), device, side), CONFIGURATIONS[name], device, thin, visits, side)
        text = table(CONFIGURATIONS[name], device, thin, measured)
        print(text, flush=True)
        if write:
            put(write, name, text)


if __name__ == "__main__":
    main()
