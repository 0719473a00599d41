"""The mathematics of the report: schedule, noise, estimates and their combinations, and the one sampling loop.

Read in this order: `schedule` (the forward process and one step back), `estimates` (what a network answers, and what
can be made of several answers), `sampling` (the loop), then `views` with their `rearrangements`, `filters` and
`metrics`. `strands` runs many trajectories together without their code noticing. Images are tensors (3, H, W) in
-1 … 1, one at a time; t is a Python int from 0 (almost clean) to 999 (almost pure noise).
"""

from .estimates import Estimate, Noise, anagram, cfg, factorised, hybrid, mean, viewed
from .filters import colour, gaussian_blur, grey, high_pass, low_pass, motion_blur, motion_rest, three_bands
from .sampling import inpaint, iterative_denoise, keep_known, keep_part, last, resampled, sample, sdedit
from .schedule import Schedule, strided

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
    "hybrid",
    "inpaint",
    "iterative_denoise",
    "keep_known",
    "keep_part",
    "last",
    "low_pass",
    "mean",
    "motion_blur",
    "motion_rest",
    "resampled",
    "sample",
    "sdedit",
    "strided",
    "three_bands",
    "viewed",
]
