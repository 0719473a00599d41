"""The mathematics of the report: noise schedule, noise estimates and their combinations, and the one sampling loop.

Reading order: `schedule` (the forward process and one reverse step), `estimates` (a network's output, and combinations
of several), `sampling` (the loop), then `views`, `filters` and `metrics`. `batching` runs many trajectories in one
batch without changes to their code. An image is a tensor (3, H, W) in -1 … 1; t is a Python int from 0 (almost clean)
to 999 (almost pure noise).
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
