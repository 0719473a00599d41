"""Procedural styles: turn a drawing into a photo, an oil painting, a lithograph or a pencil sketch.

Each style has two signatures: tone and colour, visible at 64 pixels, and a grain of a few of the 256 units (brush,
hatch, graphite), which averages out at 64 pixels and which stage 2 restores from the prompt. A filter maps RGB in 0 …
1, (size, size, 3), to the same, at any size.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

PHOTO, OIL, LITHOGRAPH, SKETCH = "a photo of", "an oil painting of", "a lithograph of", "a pencil sketch of"
ANY = ("", PHOTO, OIL, LITHOGRAPH, SKETCH)  # "" is a plain drawing

GREY = np.array([0.30, 0.59, 0.11], np.float32)


def _grid(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns y and x of every pixel, in units of 0 … 256."""
    y, x = np.mgrid[0 : len(rgb), 0 : len(rgb)].astype(np.float32) + 0.5
    return y * 256 / len(rgb), x * 256 / len(rgb)


def _inked(tone: np.ndarray, paper: tuple[float, ...], ink: tuple[float, ...]) -> np.ndarray:
    """Prints a grey tone in 0 … 1 in one ink on paper."""
    tone = np.clip(tone, 0, 1)[..., None]
    return tone * np.array(paper, np.float32) + (1 - tone) * np.array(ink, np.float32)


def photo(rgb: np.ndarray) -> np.ndarray:
    """Camera look: light from the upper left, and a vignette."""
    y, x = (v / 128 - 1 for v in _grid(rgb))
    light = 1.06 - 0.05 * (x + y) - 0.08 * (x * x + y * y)
    return np.clip(rgb * light[..., None], 0, 1)


def oil_painting(rgb: np.ndarray) -> np.ndarray:
    """Kuwahara filter (each pixel becomes the mean of its most uniform quadrant), warm tones, dark edges, brush
    ridges."""
    radius = max(1, round(len(rgb) / 128))
    grey = rgb.mean(-1)
    means, spreads = [], []
    for dy in (-radius, radius):
        for dx in (-radius, radius):
            window = (2 * radius + 1, 2 * radius + 1)
            shifted, g = np.roll(rgb, (dy, dx), (0, 1)), np.roll(grey, (dy, dx), (0, 1))
            means.append(uniform_filter(shifted, (*window, 1)))
            spreads.append(uniform_filter(g * g, window) - uniform_filter(g, window) ** 2)
    best = np.argmin(spreads, 0)[None, ..., None]
    flat = np.take_along_axis(np.stack(means), best, 0)[0]
    y, x = _grid(rgb)
    ridges = 0.035 * np.sin(2 * np.pi * (y + 3 * np.sin(2 * np.pi * x / 48)) / 4.0)
    edge = 1.04 - 0.22 * ((x / 128 - 1) ** 2 + (y / 128 - 1) ** 2) / 2
    warm = np.array([1.0, 0.92, 0.76], np.float32)
    return np.clip(flat * warm * edge[..., None] + ridges[..., None], 0, 1)


def lithograph(rgb: np.ndarray) -> np.ndarray:
    """Black ink on cream paper: grey, high contrast, and a fine diagonal hatch in the shadows."""
    grey = rgb @ GREY
    low, high = np.percentile(grey, (2, 98))
    tone = np.clip((grey - low) / max(high - low, 0.2), 0, 1)
    y, x = _grid(rgb)
    hatch = np.sin(2 * np.pi * (x + y) / 4.0)
    return _inked(tone + 0.25 * hatch * (1 - tone), (0.95, 0.92, 0.85), (0.10, 0.10, 0.13))


def pencil_sketch(rgb: np.ndarray) -> np.ndarray:
    """Graphite on white paper: contours by colour dodge, a light tone elsewhere, and a fine grain."""
    grey = rgb @ GREY
    blurred = gaussian_filter(1 - grey, len(rgb) / 64)
    lines = np.clip(grey / np.clip(1 - blurred, 0.05, 1), 0, 1)
    y, x = _grid(rgb)
    grain = np.sin(2 * np.pi * (x - y) / 4.0)
    tone = np.clip(lines, 0, 1) ** 3 * (0.72 + 0.28 * grey)
    return _inked(tone + 0.10 * grain * (1 - tone), (0.98, 0.98, 0.97), (0.16, 0.17, 0.20))


FILTERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": lambda rgb: rgb,
    PHOTO: photo,
    OIL: oil_painting,
    LITHOGRAPH: lithograph,
    SKETCH: pencil_sketch,
}
