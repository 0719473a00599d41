"""Images of several readings: anagrams, which are read through views, and hybrids, which are read through parts.

A section or a command says what is read how; the same estimate then samples the image at 64 pixels and enlarges it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from .diffusion import estimates, filters
from .diffusion.estimates import Estimate, Part
from .diffusion.schedule import strided
from .diffusion.views import View, still
from .figures import Figure, each
from .lab import Lab, Scale

SIDE = 64  # pixels a side of stage 1's images


@dataclass(frozen=True)
class Readings:
    """An image with several readings.

    key: equal for images of the same readings. looks: by name, what shows a reading, such as a view. estimate: returns
    the estimate along which a lab draws the image.
    """

    key: Hashable
    looks: Mapping[str, Callable[[Tensor], Tensor]]
    estimate: Callable[[Lab], Estimate]

    def draw(self, lab: Lab, show: str, k: int, pixels: int = SIDE, stride: int = 30) -> Tensor:
        """Returns sample k as it is read, (3, pixels, pixels); pixels is 64 or 256. One drawing serves all looks."""
        x = lab.shared((self.key, k, stride, SIDE), lambda: lab.sample(self.estimate(lab), k, strided(stride)))
        if pixels > SIDE:
            small = x
            x = lab.shared((self.key, k, stride, pixels), lambda: lab.enlarge(small, self.estimate(lab), k))
        return self.looks[show](x)


def anagram(**readings: tuple[str, View]) -> Readings:
    """Returns a visual anagram: a prompt and a view for each reading, by the reading's name."""

    def estimate(lab: Lab) -> Estimate:
        return estimates.anagram(*((lab.guided(prompt, Scale.READING), view) for prompt, view in readings.values()))

    looks = {name: view for name, (_, view) in readings.items()}
    return Readings(("anagram", *readings.items()), looks, estimate)


class Decomposition(NamedTuple):
    """How an image is split into parts that add up to it, each with a reading.

    looks: by the reading's name, what shows it; in the order of the parts. parts, scales: the filter of each part's
    estimate, and its guidance.
    """

    looks: Mapping[str, Callable[[Tensor], Tensor]]
    parts: tuple[Part, ...]
    scales: tuple[Scale, ...]


DISTANCE = Decomposition(
    {"far": filters.low_pass, "near": still},
    (filters.low_pass, filters.high_pass),
    (Scale.OWN, Scale.READING),
)
COLOUR = Decomposition(
    {"grey": filters.grey, "colour": still},
    (filters.grey, filters.colour),
    (Scale.BALANCED, Scale.BALANCED),
)
MOTION = Decomposition(
    {"moving": filters.motion_blur, "still": still},
    (filters.motion_blur, filters.motion_rest),
    (Scale.OWN, Scale.READING),
)
HYBRIDS = {"distance": DISTANCE, "colour": COLOUR, "motion": MOTION}  # those of two readings, by what separates them


def of_samples(
    name: str,
    draw: Callable[..., Tensor],
    show: Sequence[str],
    caption: str,
    alt: Mapping[str, str],
    row: str = "{show}",
    **prompts: str,
) -> Figure:
    """Declares a figure of three samples, with a row for each look that `show` names.

    prompts: by the look that shows it. alt: what the alt texts say of a look.
    """
    return Figure(
        name,
        caption=caption,
        row=row,
        label="sample {k}",
        alt={look: f"Sample {{k}}, {words}: the prompt is “{{{look}}}”" for look, words in alt.items()},
        cases=each(**prompts, show=tuple(show), k=(0, 1, 2)),
        draw=draw,
    )


def hybrid(by: Decomposition, *prompts: str) -> Readings:
    """Returns a hybrid image: a prompt for each part of the decomposition, in order."""

    def estimate(lab: Lab) -> Estimate:
        guided = [lab.guided(prompt, scale) for prompt, scale in zip(prompts, by.scales, strict=True)]
        return estimates.factorised(guided, by.parts)

    return Readings((*by.looks, *prompts), by.looks, estimate)
