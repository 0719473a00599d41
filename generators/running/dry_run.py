"""What a run will ask of its model, found by drawing with a stand-in that answers nothing: seconds instead of hours.

Which prompts will be asked for, and how often each stage, follows from the sections' own code alone, since no section
looks at its pictures before it goes on. So all prompts can be encoded before the first stage is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..diffusion import batching
from ..diffusion.estimates import Estimate, Noise
from ..diffusion.schedule import Schedule, T
from ..figures import Section
from ..lab import Lab
from ..models import Workload
from ..models.base import LaterStage, Model
from .drawing import works

SCHEDULE = Schedule(torch.linspace(0.999, 0.001, T))


class DryRunModel(Model):
    """Answers that there is no noise, and remembers what it was asked."""

    name = description = "a stand-in"
    schedule = SCHEDULE
    chunk = 10**6  # all that is asked at once

    def __init__(self, steps: int, guided: bool) -> None:
        self.second: LaterStage = DryRunSecondStage(self, steps, guided)
        self.prompts: dict[str, None] = {}
        self.asked: list[tuple[int, int]] = []  # the stage, and how many images

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        self.prompts |= dict.fromkeys(prompts)
        self.asked.append((1, len(x)))
        return Noise(torch.zeros_like(x))

    def enlarge(self, x: Tensor, prompt: str, generator: torch.Generator) -> Tensor:
        if x.shape[-1] == 64:
            return self.second.enlarge(x, prompt, generator)
        self.asked.append((3, 1))
        return x.new_zeros(3, 4 * x.shape[-2], 4 * x.shape[-1])


class DryRunSecondStage(LaterStage):
    """The second stage of so many steps; its images are as small as the first's, for nobody looks at them."""

    schedule = SCHEDULE
    gamma, chunk = 1.0, DryRunModel.chunk

    def __init__(self, model: DryRunModel, steps: int, guided: bool) -> None:
        super().__init__(model)
        self.stand_in, self.is_guided = model, guided
        self.timesteps = list(range(steps))[::-1]

    def begin(self, low: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = low.new_zeros(3, 256, 256)
        return x, x

    def guided(self, prompt: str, given: Tensor | None = None, gamma: float | None = None) -> Estimate:
        return super().guided(prompt, given, gamma) if self.is_guided else self.noise(prompt, given)

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str], given: Tensor) -> Noise:
        self.stand_in.prompts |= dict.fromkeys(prompts)
        self.stand_in.asked.append((2, len(x)))
        return Noise(torch.zeros_like(x))


def dry_run(sections: Iterable[Section], steps: int, guided: bool) -> Workload:
    """What drawing these sections asks of a model whose second stage takes so many steps, guided or not.

    Raises DrawingError where a `draw` fails or returns something that is no panel.
    """
    model, threads = DryRunModel(steps, guided), torch.get_num_threads()
    torch.set_num_threads(1)  # on so small tensors, more threads only wait for one another
    try:
        with torch.inference_mode():
            for section in sections:
                batching.run(works(section, Lab(model)))
    finally:
        torch.set_num_threads(threads)
    first, second, third = (sum(images for stage, images in model.asked if stage == number) for number in (1, 2, 3))
    return Workload(tuple(model.prompts), first, second, third, tuple(model.asked))
