"""The mathematics of the report: noise schedule, noise estimates and their combinations, and the one sampling loop.

Reading order: `schedule` (the forward process and one reverse step), `estimates` (a network's output, and combinations
of several), `sampling` (the loop), then `views` with their `rearrangements`, `filters`, `masks` and `metrics`.
`batching` runs many trajectories in one batch without changes to their code. An image is a tensor (3, H, W) in -1 … 1;
t is a Python int from 0 (almost clean) to 999 (almost pure noise).
"""

from .estimates import Estimate, Noise, anagram, cfg, factorised, mean, viewed
from .filters import colour, gaussian_blur, grey, high_pass, low_pass, motion_blur, motion_rest
from .sampling import inpaint, iterative_denoise, keep_known, last, resampled, sample, sdedit
from .schedule import Schedule, spaced, strided

__all__ = [
    "Estimate",
    "Noise",
    "Schedule",
    "anagram",
    "cfg",
    "colour",
    "factorised",
    "gaussian_blur",
    "grey",
    "high_pass",
    "inpaint",
    "iterative_denoise",
    "keep_known",
    "last",
    "low_pass",
    "mean",
    "motion_blur",
    "motion_rest",
    "resampled",
    "sample",
    "sdedit",
    "spaced",
    "strided",
    "viewed",
]
