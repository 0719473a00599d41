"""Times several implementations of the report's stage-1 work, and prints or writes the table in
report/benchmarks.md."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click
import torch
from torch import Tensor

from . import machine, variants
from .configurations import CONFIGURATIONS, Configuration, RandomIF, size

SLOW = 0.5  # a precision whose products run at less than this share of float32's rate is emulated
COLUMNS = (
    "variant",
    "dtype",
    "evaluations",
    "calls",
    "seconds",
    "× pipelines",
    "TFLOP/s",
    "of products",
    "GB",
    "differs",
)


@dataclass
class Row:
    """One implementation and its measurements.

    seconds: of the fastest visit. first: of the slowest first call, compilation included. rate: FLOP/s of a matrix
    product. peak: bytes, None if unknown. differs: root mean square difference of the pixels, in -1 … 1, from the first
    row's.
    """

    name: str
    variant: variants.Variant
    dtype: torch.dtype
    cached: bool = False
    compiled: bool = False
    seconds: float = field(default=float("inf"), init=False)
    first: float = field(default=0.0, init=False)
    rate: float = field(default=0.0, init=False)
    peak: int | None = field(default=None, init=False)
    evaluations: int = field(default=0, init=False)
    calls: int = field(default=0, init=False)
    differs: float = field(default=0.0, init=False)


def rows(device: torch.device) -> list[Row]:
    """The implementations to compare: in float16 on a GPU, as IF is loaded there; in float32 on a CPU, the report's
    also in bfloat16."""
    if device.type == "cuda":
        half = torch.float16
        return [
            Row("notebook loop", variants.notebook, half),
            Row("diffusers' pipelines", variants.pipelines, half),
            Row("this report", variants.report, half, cached=True),
            Row("this report, compiled", variants.report, half, cached=True, compiled=True),
        ]
    return [
        Row("notebook loop", variants.notebook, torch.float32),
        Row("diffusers' pipelines", variants.pipelines, torch.float32),
        Row("this report", variants.report, torch.float32, cached=True),
        Row("this report", variants.report, torch.bfloat16, cached=True),
    ]


def computed(measured: list[Row], device: torch.device, side: int) -> list[Row]:
    """Returns the rows whose precision this machine computes in; emulated precisions take minutes and say nothing."""
    rates = {row.dtype: machine.matmul_rate(device, row.dtype, side) for row in measured}
    slow = {dtype for dtype, rate in rates.items() if rate < SLOW * rates.get(torch.float32, 0)}
    for dtype in slow:
        print(f"{dtype} is left out: this processor has no instructions for it", file=sys.stderr)
    return [row for row in measured if row.dtype not in slow]


def visit(row: Row, configuration: Configuration, device: torch.device, steps: int, side: int) -> list[Tensor]:
    """Measures a row once more with a newly built network and keeps the better time. Returns the panels' images."""
    row.rate = max(row.rate, machine.matmul_rate(device, row.dtype, side))
    model = RandomIF(configuration, device.type, row.dtype, row.cached, row.compiled)
    began = machine.finished(device)
    with torch.inference_mode():
        for images in (1, 4):
            x, t = torch.zeros(images, 3, 64, 64, device=device), torch.zeros(images, dtype=torch.int64, device=device)
            model.first.predict(x, t, [""] * images)
    row.first = max(row.first, machine.finished(device) - began)
    machine.forget_peak(device)
    began = machine.finished(device)
    panels = row.variant(model, steps)
    row.seconds = min(row.seconds, machine.finished(device) - began)
    row.peak, row.evaluations, row.calls = machine.peak_memory(device), model.meter.evaluations, model.meter.calls
    return [panel.float().cpu() for panel in panels]


def compare(
    measured: list[Row], configuration: Configuration, device: torch.device, steps: int, visits: int, side: int
) -> list[Row]:
    """Measures the rows in turns, so that other load on the machine affects them alike. side: of `matmul_rate`."""
    for turn in range(visits):
        first: list[Tensor] = []
        for row in measured:
            print(
                f"{configuration.name}, turn {turn + 1} of {visits}: {row.name}, {row.dtype} …",
                end=" ",
                file=sys.stderr,
                flush=True,
            )
            panels = visit(row, configuration, device, steps, side)
            first = first or panels
            row.differs = float((torch.stack(panels) - torch.stack(first)).square().mean().sqrt())
            print(f"{row.seconds:.1f} s", file=sys.stderr)
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
    return measured


def table(configuration: Configuration, device: torch.device, steps: int, measured: list[Row]) -> str:
    """Returns the measurements as a Markdown table."""
    parameters, flops = size(configuration)
    pipelines = next(row for row in measured if row.variant is variants.pipelines)
    lines = [
        f"{configuration.name} ({parameters / 1e6:,.0f} million parameters, {flops / 1e9:,.0f} GFLOP an evaluation) on "
        f"{machine.description(device)}; sections {', '.join(variants.SECTIONS)}, {steps} steps a trajectory; "
        f"torch {torch.__version__}.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for row in measured:
        achieved = row.evaluations * flops / row.seconds
        cells = [
            row.name,
            str(row.dtype).removeprefix("torch."),
            f"{row.evaluations:,}",
            f"{row.calls:,}",
            f"{row.seconds:.1f}" + (f" (first call {row.first:.0f})" if row.compiled else ""),
            f"{pipelines.seconds / row.seconds:.2f}",
            f"{achieved / 1e12:.3g}",
            f"{achieved / row.rate:.0%} of {row.rate / 1e12:.3g}",
            "unknown" if row.peak is None else f"{row.peak / 2**30:.2f}",
            f"{row.differs:.1g}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def put(page: Path, name: str, text: str) -> None:
    """Replaces the text between the page's markers of that name. Raises click.ClickException if a marker is missing."""
    whole, begin, end = page.read_text(encoding="utf-8"), f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if begin not in whole or end not in whole:
        raise click.ClickException(
            f"{page}: has no lines {begin.strip()} and {end}; put them where the table should go"
        )
    before, rest = whole.split(begin, 1)
    page.write_text(f"{before}{begin}{text}\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")


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
@click.option(
    "--write", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Write the tables to this file."
)
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
