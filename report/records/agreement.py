"""When two drawings agree: what was drawn is the same, and the pixels differ by no more than rounding.

The tolerance lies between what processors and thread counts do to the pixels and what real changes do. Both were
measured (`python -m generators.bench.rounding`, report/benchmarks.md): rounding moves single values by 1 of 255, with a
root mean square of at most 0.024; weights of one layer that are 1 % larger move them by 0.056 and more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

IDENTICAL, ROUNDED, DIFFERS = "identical", "within rounding", "differs"

LARGEST = 1  # of 255: the largest difference of a value
PSNR = 75.0  # dB: a root mean square of 0.045
# The largest relative difference of a number measured in pixels: an image that is off by the root mean square above
# changes a PSNR of up to 45 dB, to another image, by at most 0.3 dB.
SHARE = 0.01

TEXTS = frozenset({"title", "source", "words", "caption", "label", "alt", "row"})  # for readers, and a path
_RUN = frozenset({"seconds", "network_calls", "device", "drawn", "where", "bytes", "file", "python", "seal"})
_RESULT = frozenset({"pixels", "found"})


@dataclass(frozen=True)
class PanelResult:
    """How a panel compares with its published one.

    largest: the largest difference of a value, 0 … 255; None if the images could not be compared. psnr: in dB; None if
    it is infinite or the images could not be compared.
    """

    kind: str
    largest: int | None = 0
    psnr: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How several panels compare: how many of each kind, and the worst difference and PSNR among them."""

    identical: int = 0
    rounded: int = 0
    differ: int = 0
    largest: int = 0
    psnr: float | None = None

    @classmethod
    def of(cls, results: Iterable[PanelResult]) -> Outcome:
        found = list(results)
        kinds = [result.kind for result in found]
        identical, rounded, differ = map(kinds.count, (IDENTICAL, ROUNDED, DIFFERS))
        return cls(
            identical,
            rounded,
            differ,
            largest=max((result.largest or 0 for result in found), default=0),
            psnr=min((result.psnr for result in found if result.psnr is not None), default=None),
        )

    def __add__(self, other: Outcome) -> Outcome:
        psnr = min((each.psnr for each in (self, other) if each.psnr is not None), default=None)
        return Outcome(
            self.identical + other.identical,
            self.rounded + other.rounded,
            self.differ + other.differ,
            max(self.largest, other.largest),
            psnr,
        )

    def __str__(self) -> str:
        """For example "143 identical, 108 within rounding (at most 1 of 255, 70.2 dB)"."""
        counts = ((self.identical, IDENTICAL), (self.rounded, ROUNDED), (self.differ, "differ"))
        told = ", ".join(f"{count} {kind}" for count, kind in counts if count)
        return told if self.psnr is None else f"{told} (at most {self.largest} of 255, {self.psnr:.1f} dB)"


def drawing(record: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of what a record's drawing is determined by: code, weights, inputs, cases, trajectories and
    library versions, but not the machine, the texts for readers and the pixels."""
    return _digest(record, TEXTS | _RUN | _RESULT)


def subject(record: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of what a confirmation is about: the drawing and its published pixels."""
    return _digest(record, TEXTS | _RUN | (_RESULT - {"pixels"}))


def _digest(record: Mapping[str, Any], omitted: frozenset[str]) -> str:
    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(item) for name, item in value.items() if name not in omitted}
        return [kept(item) for item in value] if isinstance(value, list) else value

    content = kept(record)
    content["depends"] = record["depends"]  # as a whole: its `source` is a digest of the code, not a path
    # The wheel of torch names the platform that it was built for, as in 2.13.0+cpu.
    content["versions"] = {name: str(number).partition("+")[0] for name, number in content["versions"].items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def measure(
    one: NDArray[np.uint8], other: NDArray[np.uint8], largest: int = LARGEST, psnr: float = PSNR
) -> PanelResult:
    """Compares two images, (H, W, 3) in 0 … 255, of the same size. largest, psnr: the tolerance."""
    import numpy as np

    difference = np.abs(one.astype(np.int16) - other)
    if not difference.any():
        return PanelResult(IDENTICAL)
    most = int(difference.max())
    found = float(10 * np.log10(255**2 / np.square(difference, dtype=np.float64).mean()))
    return PanelResult(ROUNDED if most <= largest and found >= psnr else DIFFERS, most, round(found, 1))


def same_values(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two drawings of a panel found the same values: equal texts, and numbers that differ by no more than
    rounding of the pixels makes them."""

    def same(a: Any, b: Any) -> bool:
        numbers = isinstance(a, (int, float)) and isinstance(b, (int, float))
        return abs(a - b) <= SHARE * max(abs(a), abs(b)) + 0.001 if numbers else a == b

    return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
