"""Draws the cases of a section, checks the values that `draw` returns, and writes each panel with its record."""

from __future__ import annotations

import hashlib
import io
import math
import traceback
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..figures import Case, Figure, Panel, Section
from ..records.errors import DrawingError, ReportError
from ..records.files import write
from ..records.texts import wrong_text
from .staleness import SECTIONS_PACKAGE

if TYPE_CHECKING:
    from torch import Tensor

    from ..diffusion.batching import Task, Work
    from ..diffusion.trace import Trace, Trajectory
    from ..lab import Lab

SIDES = (64, 256, 1024)  # pixels, the sizes of the cascade's three stages
IMAGE = f"a floating-point tensor (3, H, W) with H = W = {SIDES[0]}, {SIDES[1]} or {SIDES[2]}, values in -1 … 1"
MOST_STATEMENTS = 8  # of the section's code that an error shows


def works(section: Section, lab: Lab) -> list[Work]:
    """Returns a function for each case of each figure, in order, for `batching.run`; it draws and returns a `Panel`.

    The functions raise DrawingError if `draw` fails or does not return a valid panel. They pass on other errors of the
    report, which already say in one line what is wrong.
    """
    return [partial(_draw, section, figure, case, lab) for figure in section.figures for case in figure.cases]


def _draw(section: Section, figure: Figure, case: Case, lab: Lab) -> Panel:
    try:
        result = figure.draw(lab, **case)
    except ReportError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise _error(section, figure, case, "\n".join([what, *_statements(error)])) from error
    panel = result if isinstance(result, Panel) else Panel(result)
    if wrong := _wrong_kind(panel, figure):
        raise _error(section, figure, case, wrong)
    return panel


def _error(section: Section, figure: Figure, case: Case, wrong: str) -> DrawingError:
    """Returns an error that names the figure and the case, such as "figure 1.1-noisy, case t=250, show='t = 250'"."""
    fields = ", ".join(f"{name}={value!r}" for name, value in case.items())
    shown = fields if len(fields) <= 120 else f"{fields[:120]}…"
    return DrawingError(f"figure {section.id}-{figure.name}, case {shown or 'without fields'}: {wrong}")


def _statements(error: Exception) -> list[str]:
    """Returns the last statements of sections' code in an error's traceback, as "  file:line: statement"."""
    frames = zip(traceback.walk_tb(error.__traceback__), traceback.extract_tb(error.__traceback__), strict=True)
    found = []
    for (frame, _), summary in frames:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(f"{SECTIONS_PACKAGE}."):
            found.append(f"  {module.replace('.', '/')}.py:{summary.lineno}: {summary.line}")
    return found[-MOST_STATEMENTS:]


def _wrong_kind(panel: Panel, figure: Figure) -> str | None:
    """Returns what is wrong with a panel's type and shape, and the names and types found; None if they are valid."""
    import torch

    image, found = panel.image, panel.found
    if not isinstance(image, torch.Tensor):
        returned = "None" if image is None else f"an object of type {type(image).__name__}"
        return f"draw returned {returned}; it must return {IMAGE}, or a Panel with one"
    if not image.is_floating_point() or image.shape not in {(3, side, side) for side in SIDES}:
        dtype = str(image.dtype).removeprefix("torch.")
        return f"draw returned a tensor {tuple(image.shape)} of {dtype}; it must return {IMAGE}"
    if not isinstance(found, Mapping):
        return f"Panel.found is an object of type {type(found).__name__}; it must be a dict"
    if unknown := set(found) - set(figure.finds):
        return f"draw found {', '.join(sorted(map(str, unknown)))}, which `finds` does not name"
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, (float, int, str)):
            return f"draw found {name} = {value!r:.40}, of type {type(value).__name__}; use float, int or str"
    return None


def _wrong_values(panel: Panel, prompts: Iterable[str]) -> str | None:
    """Returns what is wrong with the values of an image, the values found, or the prompts; None if they are valid."""
    import torch

    if wrong := int((~torch.isfinite(panel.image)).sum()):
        return f"draw returned an image with {wrong:,} of {panel.image.numel():,} values NaN or infinite"
    for name, value in panel.found.items():
        if isinstance(value, float) and not math.isfinite(value):
            return f"draw found {name} = {value}; it must be a finite number"
        if isinstance(value, str) and (bad := wrong_text(value)):
            return f"draw found {name}: {bad}"
    return next((f"prompt: {bad}" for bad in map(wrong_text, prompts) if bad), None)


def panel_texts(section: Section, figure: Figure, case: Case, found: Mapping[str, Any]) -> dict[str, str]:
    """Returns row, label and alt text of a panel.

    Raises DrawingError if they name a value that `draw` did not find, or a format does not fit its value.
    """
    try:
        return {"row": figure.row_of(case), "label": figure.label_of(case, found), "alt": figure.alt_of(case, found)}
    except KeyError as error:
        raise _error(section, figure, case, f"label or alt text names {error}, which draw did not find") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise _error(section, figure, case, f"label or alt text cannot be filled: {error}") from None


def pixels_of(image: Tensor) -> Tensor:
    """Returns an image, (3, H, W) in -1 … 1, as 8-bit RGB, (H, W, 3); values outside are clipped."""
    return ((image.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu()


def write_panel(
    folder: Path, file: str, section: Section, figure: Figure, case: Case, task: Task, numbers: Mapping[Trajectory, int]
) -> dict[str, Any]:
    """Writes the panel of a finished task as lossless WebP and returns its record. numbers: of the trajectories.

    Raises DrawingError if the image has NaN or infinite values, or if a found value or a prompt cannot be recorded.
    """
    from PIL import Image

    panel: Panel = task.result
    walks = [walk for walk in task.trace.trajectories if walk in numbers]
    if wrong := _wrong_values(panel, [prompt for walk in walks for prompt in walk.prompts]):
        raise _error(section, figure, case, wrong)
    found = {name: value if isinstance(value, str) else round(value, 4) for name, value in panel.found.items()}
    texts = panel_texts(section, figure, case, found)
    rgb = pixels_of(panel.image).numpy()
    encoded = io.BytesIO()
    Image.fromarray(rgb).save(encoded, "WEBP", lossless=True, quality=50, exact=True)
    write(folder / file, encoded.getvalue())
    return {
        "file": file,
        "bytes": hashlib.sha256(encoded.getvalue()).hexdigest(),
        "pixels": hashlib.sha256(rgb.tobytes()).hexdigest(),
        "width": rgb.shape[1],
        "height": rgb.shape[0],
        **texts,
        "case": dict(case),
        "found": found,
        "origin": _origin(task.trace, bool(walks)),
        "inputs": list(task.trace.inputs),
        "seeds": list(task.trace.seeds),
        "trajectories": [numbers[walk] for walk in walks],
    }


def trajectory_record(walk: Trajectory) -> dict[str, Any]:
    """Returns the record of a trajectory, as `records.record.Trajectory` describes it."""
    return {
        "stage": walk.stage,
        "seed": walk.seed,
        "prompts": list(walk.prompts),
        "gamma": list(walk.gammas),
        "timesteps": list(walk.timesteps),
        "evaluations": len(walk.evaluations),
        "seconds": round(sum(map(float, walk.evaluations)), 3),
    }


def _origin(trace: Trace, evaluated: bool) -> str:
    """Returns whether a panel was sampled, edited from an input, only noised, or is the unchanged input."""
    if evaluated:
        return "edit" if trace.inputs else "sample"
    return "noised" if trace.seeds else "photograph"
