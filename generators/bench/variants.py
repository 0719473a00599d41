"""The same panels drawn in different ways: as sections declare them, by diffusers' pipelines, and in a notebook's loop.

A way is a function from a model and a number of steps to the panels' images. Sections see only a `Lab`; a way is a lab
of its own kind.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..diffusion import last, sample, sdedit, strided
from ..diffusion.batching import run
from ..diffusion.estimates import Estimate, Noise
from ..lab import Lab, Result
from ..models.configurations import RandomIF
from ..running.run import load_section

SECTIONS = ("1.5", "1.6", "1.7.3", "1.9")  # one of each kind: samples, guided samples, edits, two prompts at once

Draw = Callable[[], Tensor]
Variant = Callable[[RandomIF, int], list[Tensor]]


def thinned(timesteps: list[int], steps: int) -> list[int]:
    """At most so many of the timesteps, 2 or more, evenly spaced; the first and the last of them, t = 0, always."""
    intervals = min(steps, len(timesteps)) - 1
    return [timesteps[round(k * (len(timesteps) - 1) / intervals)] for k in range(intervals + 1)]


class Thinned(Lab):
    """A lab whose trajectories take a few steps only: the same images side by side, in a part of the time."""

    def __init__(self, model: RandomIF, steps: int) -> None:
        super().__init__(model)
        self.steps = steps

    def sample(self, estimate: Estimate, k: int = 0, stride: int = 30) -> Tensor:
        timesteps = thinned(strided(stride), self.steps)
        return last(sample(self.schedule, estimate, timesteps, self.generator(k), self.model.blank()))

    def sdedit(self, estimate: Estimate, x0: Tensor, i_start: int) -> Tensor:
        timesteps = thinned(strided(i_start=i_start), self.steps)
        return last(sdedit(self.schedule, estimate, timesteps, self.generator(), x0))


class OneByOne(Thinned):
    """A lab in which nothing is evaluated together, not even for what several panels share."""

    def __init__(self, model: RandomIF, steps: int) -> None:
        super().__init__(model, steps)
        self._results: dict[Hashable, Any] = {}

    def shared(self, key: Hashable, work: Callable[[], Result]) -> Result:
        if key not in self._results:
            self._results[key] = work()
        return self._results[key]


class Prompted:
    """An estimate that knows what a pipeline would have to be given."""

    def __init__(self, estimate: Estimate, prompt: str, gamma: float) -> None:
        self.estimate, self.prompt, self.gamma = estimate, prompt, gamma

    def __call__(self, x: Tensor, t: int) -> Noise:
        return self.estimate(x, t)


class ByPipelines(OneByOne):
    """A lab that calls diffusers' pipelines where there is one: to sample from a prompt, and to edit an image by one.

    Anagrams and hybrids have none; they fall back to the loop. The text embeddings are handed over, as the course does.
    """

    def __init__(self, model: RandomIF, steps: int) -> None:
        super().__init__(model, steps)
        self.random_if = model
        self.from_text, self.from_image = model.pipelines()

    def estimate(self, prompt: str) -> Prompted:
        return Prompted(super().estimate(prompt), prompt, 1.0)

    def guided(self, prompt: str, gamma: float | None = None) -> Prompted:
        return Prompted(super().guided(prompt, gamma), prompt, self.model.gamma if gamma is None else gamma)

    def sample(self, estimate: Estimate, k: int = 0, stride: int = 30) -> Tensor:
        if not isinstance(estimate, Prompted):
            return super().sample(estimate, k, stride)
        arguments = self._arguments(estimate, thinned(strided(stride), self.steps))
        return self.from_text(generator=self.generator(k), height=64, width=64, **arguments).images[0].float()

    def sdedit(self, estimate: Estimate, x0: Tensor, i_start: int) -> Tensor:
        if not isinstance(estimate, Prompted):
            return super().sdedit(estimate, x0, i_start)
        arguments = self._arguments(estimate, thinned(strided(i_start=i_start), self.steps))
        return self.from_image(generator=self.generator(), image=x0[None], strength=1.0, **arguments).images[0].float()

    def _arguments(self, estimate: Prompted, timesteps: list[int]) -> dict[str, object]:
        calls, halves = len(timesteps), 2 if estimate.gamma > 1 else 1
        self.model.calls, self.model.evaluations = self.model.calls + calls, self.model.evaluations + calls * halves
        embeds, negative = (self.random_if.encode(text) for text in (estimate.prompt, ""))
        return {
            "prompt_embeds": embeds,
            "negative_prompt_embeds": negative if halves == 2 else None,
            "guidance_scale": estimate.gamma,
            "timesteps": timesteps,
            "output_type": "pt",
        }


def _sections(lab: Callable[[], Lab]) -> Iterator[list[Draw]]:
    """The panels of each section, to be drawn with a new lab."""
    for section_id in SECTIONS:
        at = lab()
        cases = [(figure, case) for figure in load_section(section_id).figures for case in figure.cases]
        # A case that says how large it is goes on to later stages, which are not measured.
        yield [partial(figure.draw, at, **case) for figure, case in cases if "pixels" not in case]


@torch.inference_mode()
def notebook(model: RandomIF, steps: int) -> list[Tensor]:
    """One panel after another, and one network evaluation after another: a guided step is two forwards."""
    return [draw() for draws in _sections(lambda: OneByOne(model, steps)) for draw in draws]


@torch.inference_mode()
def pipelines(model: RandomIF, steps: int) -> list[Tensor]:
    """One panel after another by the pipelines, which evaluate both halves of a guided step in one forward."""
    return [draw() for draws in _sections(lambda: ByPipelines(model, steps)) for draw in draws]


@torch.inference_mode()
def report(model: RandomIF, steps: int) -> list[Tensor]:
    """As this report draws: all the panels of a section together."""
    return [task.result for draws in _sections(lambda: Thinned(model, steps)) for task in run(draws)]
