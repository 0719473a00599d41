"""`make bench`: what the batching is worth. The same samples, one case after another and all together, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from . import models
from .diffusion import strands, strided
from .lab import Lab
from .prompts import PHOTO

SAMPLES, STRIDE = 8, 90  # guided samples, of 12 steps each


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    lab = Lab(models.load("pocket"))
    cases = [partial(lab.sample, lab.guided(PHOTO), k, STRIDE) for k in range(SAMPLES)]
    ways = {
        "one evaluation a call": lambda: [case() for case in cases],
        "guided pairs, one sample after another": lambda: [strands.run([case]) for case in cases],
        "all samples together": lambda: strands.run(cases),
    }
    with torch.inference_mode():
        lab.estimate(PHOTO)(lab.noise(), 500)  # the first call loads the text encoder
        times = {way: min(seconds(work) for _ in range(2)) for way, work in ways.items()}
    slowest = max(times.values())
    steps, threads = len(strided(STRIDE)), torch.get_num_threads()
    print(f"{SAMPLES} guided samples of {steps} steps, {lab.model.name}, {threads} threads")
    for way, taken in times.items():
        print(f"{way:42} {taken:7.2f} s   {slowest / taken:4.2f} x")


if __name__ == "__main__":
    main()
