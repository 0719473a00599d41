"""The parameters of a figure, as the line below its caption shows them: the same terms in the same order everywhere.

prompt (unless caption or labels have it), γ, i_start, t, steps, seeds, mask (rows and columns from 0), kernel, σ (of a
blur, in pixels), passes (how often a stretch of timesteps is walked). All are of stage 1, from the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from PIL import Image

from generators.records.record import Figure, Panel
from report.prose.mathml import plain
from report.prose.values import ranges, shown, steps, stretch, vary

NUMBERS = ("steps", "i_start", "t")  # of a case; the labels show them


def parameters(figure: Figure, pixels: Callable[[Panel], Image.Image]) -> list[tuple[str, str]]:
    """Returns the (term, text) pairs of a figure. pixels: returns a panel's image.

    Raises PanelError if the mask's picture is missing, and TexError on bad TeX in the name of a panel.
    """
    estimated = [panel for panel in figure.panels if panel.timesteps]
    walked = [panel for panel in estimated if len(panel.timesteps) > 1] or estimated  # beside a walk, one step is said
    masks = [panel for panel in figure.panels if panel.case.get("show") == "mask"]
    blurred = [panel for panel in figure.panels if "kernel" in panel.found]
    seeds = {seed for panel in figure.panels for seed in panel.seeds}
    passes = _each(walked, lambda panel: str(_passes(panel.timesteps)))
    line = [
        ("prompt", _each(estimated, lambda panel: ", ".join(_unsaid(figure, panel)))),
        ("γ", _each(estimated, _guidance)),
        ("i_start", _listed(panel.case.get("i_start") for panel in figure.panels)),
        ("t", _times(walked) or _listed(panel.case.get("t") for panel in figure.panels)),
        ("steps", _each(walked, lambda panel: str(steps(panel.timesteps)))),
        ("seed" if len(seeds) == 1 else "seeds", ranges(seeds)),
        ("mask", _each(masks, lambda panel: _hole(pixels(panel)))),
        ("kernel", _each(blurred, lambda panel: shown("kernel", panel.found["kernel"]))),
        ("σ", _each(blurred, lambda panel: shown("sigma", panel.found["sigma"]))),
        ("passes", "" if passes == "1" else passes),
    ]
    return [(term, text) for term, text in line if text]


def _each(panels: Sequence[Panel], text: Callable[[Panel], str]) -> str:
    """Joins the different texts of panels.

    Where a number of the case decides, they stand in its order; elsewhere each names its panels: 34 (inpainted).
    """
    by_number: dict[tuple[object, ...], set[str]] = {}
    for panel in panels:
        by_number.setdefault(tuple(panel.case.get(name) for name in NUMBERS), set()).add(text(panel))
    if all(len(texts) == 1 for texts in by_number.values()):
        return ", ".join(filter(None, dict.fromkeys(map(text, panels))))
    return "; ".join(f"{found} ({plain(which)})" for which, found in vary(panels, text) if found)


def _listed(numbers: Iterable[int | None]) -> str:
    return ", ".join(str(number) for number in dict.fromkeys(numbers) if number is not None)


def _unsaid(figure: Figure, panel: Panel) -> list[str]:
    """Returns the prompts, quoted, that neither the caption nor the panel's labels quote."""
    quoted = [f"“{prompt}”" for prompt in panel.prompts if prompt]
    return [prompt for prompt in quoted if prompt not in figure.caption and prompt not in panel.name]


def _guidance(panel: Panel) -> str:
    """Formats the guidance scales: 3 (far), 7 (near), against “”. A trajectory has prompts and scales in one order."""
    if not panel.gamma:
        return "none"
    guided = [prompt for prompt in panel.of_stage(1)[0].prompts if prompt]
    found = shown("gamma", panel.gamma)
    if len(guided) == len(panel.gamma) > 1:
        pairs = zip(panel.gamma, guided, strict=True)
        found = ", ".join(f"{shown('gamma', gamma)} ({_reading(panel, prompt)})" for gamma, prompt in pairs)
    return f"{found}, against “”" if "" in panel.prompts else found


def _reading(panel: Panel, prompt: str) -> str:
    """Returns the field of the case that holds a prompt, such as "far"; the prompt if none does."""
    return next((name for name, value in panel.case.items() if value == prompt), f"“{prompt}”")


def _times(walked: Sequence[Panel]) -> str:
    """Formats timesteps: 990, 960 … 0; of several walks to one end: from 960, 900 to 0."""
    walks = list(dict.fromkeys(panel.timesteps for panel in walked))
    ends = {walk[-1] for walk in walks}
    starts = list(dict.fromkeys(walk[0] for walk in walks))
    if len(starts) > 1 and len(ends) == 1:
        return f"from {', '.join(map(str, starts))} to {ends.pop()}"
    return _each(walked, lambda panel: stretch(panel.timesteps))


def _passes(timesteps: Sequence[int]) -> int:
    """Returns how often the most walked step was taken; the noising between does not count."""
    taken = Counter((before, after) for before, after in pairwise(timesteps) if after < before)
    return max(taken.values(), default=1)


def _hole(mask: Image.Image) -> str:
    """Formats where a mask is white: rows 2–19, columns 24–41."""
    white = mask.convert("L").point(lambda value: 255 if value > 127 else 0)
    left, top, right, bottom = white.getbbox() or (0, 0, 0, 0)
    within = "" if white.histogram()[255] == (right - left) * (bottom - top) else "within "
    return f"{within}rows {top}–{bottom - 1}, columns {left}–{right - 1}"
