"""The implementations to compare: as the sections declare them, with diffusers' pipelines, and as a notebook's loop.

Sections only see a `Lab`, so each implementation is a subclass of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers import IFImg2ImgPipeline, IFPipeline
from torch import Tensor

from ..diffusion import last, sdedit, strided
from ..diffusion.batching import run
from ..diffusion.estimates import Estimate, Noise
from ..lab import Lab, Result, Scale
from ..models.deepfloyd.text import ABSENT
from ..running.run import load_section
from .configurations import RandomIF

SECTIONS = ("1.5", "1.6", "1.7.3", "1.9")  # one of each kind: samples, guided samples, edits, two prompts in one image


def thinned(timesteps: Sequence[int], steps: int) -> list[int]:
    """Returns at most `steps` (2 or more) of the timesteps, evenly spaced, always including the first and the last, t =
    0."""
    intervals = min(steps, len(timesteps)) - 1
    return [timesteps[round(k * (len(timesteps) - 1) / intervals)] for k in range(intervals + 1)]


class ThisReport(Lab):
    """A lab with shortened trajectories: the same images at once, in a fraction of the time.

    batched: whether all panels of a section are drawn in one batch.
    """

    batched = True

    def __init__(self, model: RandomIF, steps: int) -> None:
        super().__init__(model)
        self.steps = steps

    def sample(self, estimate: Estimate, k: int = 0, timesteps: Sequence[int] | None = None) -> Tensor:
        return super().sample(estimate, k, thinned(timesteps or strided(), self.steps))

    def sdedit(self, estimate: Estimate, x0: Tensor, i_start: int) -> Tensor:
        timesteps = thinned(strided(i_start=i_start), self.steps)
        return last(sdedit(self.schedule, estimate, timesteps, self.generator(), x0))


class NotebookLoop(ThisReport):
    """A lab without batching: panel by panel, with one network evaluation per forward, so a guided step takes two
    forwards."""

    batched = False

    def __init__(self, model: RandomIF, steps: int) -> None:
        super().__init__(model, steps)
        self._results: dict[Hashable, Any] = {}

    def shared(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """As in `Lab`, which would batch the queries of `work`."""
        if key not in self._results:
            self._results[key] = work()
        return self._results[key]


@dataclass
class Prompted:
    """An estimate that also carries a pipeline's arguments: prompt and guidance scale."""

    estimate: Estimate
    prompt: str
    gamma: float

    def __call__(self, x: Tensor, t: int) -> Noise:
        return self.estimate(x, t)


class Pipelines(NotebookLoop):
    """A lab that calls diffusers' pipelines where one exists: to sample from a prompt, and to edit an image. They
    evaluate both halves of a guided step in one forward.

    Anagrams and hybrids have no pipeline and fall back to the loop. Text embeddings are passed in, as the course does.
    """

    def __init__(self, model: RandomIF, steps: int) -> None:
        super().__init__(model, steps)
        self.encode = model.first.encode
        components = {**ABSENT, "unet": model.first.unet, "scheduler": model.first.scheduler}
        self.from_text, self.from_image = IFPipeline(**components), IFImg2ImgPipeline(**components)
        for pipeline in (self.from_text, self.from_image):
            pipeline.set_progress_bar_config(disable=True)

    def estimate(self, prompt: str) -> Prompted:
        return Prompted(super().estimate(prompt), prompt, 1.0)

    def guided(self, prompt: str, gamma: float | Scale = Scale.OWN) -> Prompted:
        scale = 7.0 if isinstance(gamma, Scale) else gamma  # IF's own is 7, and so are the others
        return Prompted(super().guided(prompt, gamma), prompt, scale)

    def sample(self, estimate: Estimate, k: int = 0, timesteps: Sequence[int] | None = None) -> Tensor:
        if not isinstance(estimate, Prompted):
            return super().sample(estimate, k, timesteps)
        arguments = self._arguments(estimate, thinned(timesteps or strided(), self.steps))
        return self.from_text(generator=self.generator(k), height=64, width=64, **arguments).images[0].float()

    def sdedit(self, estimate: Estimate, x0: Tensor, i_start: int) -> Tensor:
        if not isinstance(estimate, Prompted):
            return super().sdedit(estimate, x0, i_start)
        arguments = self._arguments(estimate, thinned(strided(i_start=i_start), self.steps))
        return self.from_image(generator=self.generator(), image=x0[None], strength=1.0, **arguments).images[0].float()

    def _arguments(self, estimate: Prompted, timesteps: list[int]) -> dict[str, object]:
        calls, halves = len(timesteps), 2 if estimate.gamma > 1 else 1
        self.model.meter.calls += calls
        self.model.meter.evaluations += calls * halves
        embeds, negative = (self.encode(text) for text in (estimate.prompt, ""))
        return {
            "prompt_embeds": embeds,
            "negative_prompt_embeds": negative if halves == 2 else None,
            "guidance_scale": estimate.gamma,
            "timesteps": timesteps,
            "output_type": "pt",
        }


@torch.inference_mode()
def draw(lab: type[ThisReport], model: RandomIF, steps: int) -> list[Tensor]:
    """Draws all panels of the sections, with a new lab for each section."""
    panels = []
    for section_id in SECTIONS:
        at = lab(model, steps)
        cases = [(figure, case) for figure in load_section(section_id).figures for case in figure.cases]
        # A case with `pixels` needs later stages, which are not measured.
        works = [partial(figure.draw, at, **case) for figure, case in cases if "pixels" not in case]
        panels += [task.result for task in run(works)] if lab.batched else [work() for work in works]
    return panels
