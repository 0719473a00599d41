"""The mathematics of the report: schedule, noise, estimates and their combinations, and the one sampling loop.

Read in this order: `schedule` (the forward process and one step back), `estimates` (what a network answers, and what
can be made of several answers), `sampling` (the loop), then `views`, `filters` and `metrics`. `batching` runs many
trajectories together without their code noticing. Images are tensors (3, H, W) in -1 … 1, one at a time; t is a
Python int from 0 (almost clean) to 999 (almost pure noise).
"""

from .estimates import Estimate, Noise, anagram, cfg, hybrid, mean, viewed
from .filters import gaussian_blur, high_pass, low_pass
from .sampling import iterative_denoise, keep_known, last, sample, sdedit
from .schedule import Schedule, strided

__all__ = [
    "Estimate",
    "Noise",
    "Schedule",
    "anagram",
    "cfg",
    "gaussian_blur",
    "high_pass",
    "hybrid",
    "iterative_denoise",
    "keep_known",
    "last",
    "low_pass",
    "mean",
    "sample",
    "sdedit",
    "strided",
    "viewed",
]
