"""How far rounding moves the pixels of pocket's figures, and how far real changes do.

Sections are drawn again under other instruction sets and thread counts, then with another seed, another guidance scale
and other weights, each in a process of its own. The tolerance of `report.records.agreement` lies between the two; the
table is in report/benchmarks.md.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
from PIL import Image

from ..diffusion.estimates import Estimate
from ..records.record import read_drawn
from .tables import markdown, put, write_option

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
OLD = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}


@dataclass(frozen=True)
class Setting:
    """One way to draw: environment variables of the process, its threads, and what of the drawing is changed.

    seed, gamma: added to the report's. weights: the share by which those of one layer in stage 1 grow.
    """

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    threads: int = 2
    seed: int = 0
    gamma: float = 0.0
    weights: float = 0.0


ROUNDING = (
    Setting("drawn again"),
    Setting("one thread", threads=1),
    Setting("three threads", threads=3),
    Setting("AVX2", AVX2),
    Setting("SSE4, one thread", OLD, threads=1),
    Setting("MKL_CBWR=COMPATIBLE", {"MKL_CBWR": "COMPATIBLE"}),
)
CHANGES = (
    Setting("weights of one layer + 0.1 %", weights=1e-3),
    Setting("weights of one layer + 1 %", weights=1e-2),
    Setting("gamma + 0.1", gamma=0.1),
    Setting("seed + 1", seed=1),
)


def drawn(setting: Setting, section_ids: tuple[str, ...], folder: str) -> None:
    """Draws the sections under a setting, into one folder each. To be called in a process of its own."""
    import torch

    from .. import lab, models
    from ..models.base import Stage
    from ..running.run import draw_section, load_section
    from ..running.session import Observer, Session

    torch.set_num_threads(setting.threads)
    model = models.load("pocket")
    lab.SEED += setting.seed
    guided = Stage.guided

    def stronger(stage: Stage, prompt: str, gamma: float | None = None) -> Estimate:
        return guided(stage, prompt, (stage.gamma if gamma is None else gamma) + setting.gamma)

    Stage.guided = stronger  # type: ignore[assignment]
    network = model.first.transformer  # type: ignore[attr-defined]
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    matrices[len(matrices) // 2].data.mul_(1 + setting.weights)
    for section_id in section_ids:
        draw_section(Session(model, Observer()), load_section(section_id), Path(folder) / section_id, Observer())


def differences(one: Path, other: Path) -> list[tuple[int, float]]:
    """Returns, for each sampled panel of two drawings, the largest difference of a value, 0 … 255, and the root mean
    square of the differences."""
    found = []
    for folder in sorted(one.iterdir()):
        record = read_drawn(folder)
        assert record
        for panel in (panel for figure in record["figures"] for panel in figure["panels"] if panel["trajectories"]):
            pixels = [np.asarray(Image.open(root / folder.name / panel["file"]), np.int16) for root in (one, other)]
            error = np.abs(pixels[0] - pixels[1])
            found.append((int(error.max()), float(np.sqrt(np.square(error, dtype=np.float64).mean()))))
    return found


def row(setting: Setting, found: list[tuple[int, float]]) -> dict[str, str]:
    """Returns a setting's row: how many panels differ, and the range of their differences."""
    largest, rms = zip(*found, strict=True)
    return {
        "drawn with": setting.name,
        "panels that differ": f"{sum(map(bool, largest))} of {len(found)}",
        "largest difference of a value": f"{min(largest)} … {max(largest)}",
        "root mean square": f"{min(rms):.3f} … {max(rms):.3f}",
    }


@click.command()
@click.option("--section", "section_ids", multiple=True, default=("1.6", "1.9"), show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the drawings in this folder.")
@write_option
def main(section_ids: tuple[str, ...], keep: Path | None, write: Path | None) -> None:
    """Draw sections of pocket's report under other settings, and print how far their pixels move."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="report-rounding-") as scratch:
        folder = keep or Path(scratch)
        first = folder / "0"
        for number, setting in enumerate((Setting("the report"), *ROUNDING, *CHANGES)):
            click.echo(f"{setting.name} …", err=True)
            here = folder / str(number)
            before = dict(os.environ)
            os.environ |= setting.environment  # read when the libraries are loaded
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                process.submit(drawn, setting, section_ids, str(here)).result()
            os.environ.clear()
            os.environ.update(before)
            if number:
                rows.append(row(setting, differences(first, here)))
                click.echo("  ".join(rows[-1].values()), err=True)
    text = markdown(f"Sampled panels of sections {', '.join(section_ids)}; 255 is white.", rows)
    print(text)
    if write:
        put(write, "rounding", text)


if __name__ == "__main__":
    main()
