"""Finds a run's workload in seconds, by drawing with a stand-in model that computes nothing.

No section's control flow depends on pixels, so its prompts and evaluations follow from its code alone. All prompts can
therefore be encoded before the first stage is loaded.
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
    """Predicts zero noise and records its calls."""

    name = description = "a stand-in"
    schedule = SCHEDULE
    chunk = 10**6  # no limit: one call takes all queries

    def __init__(self, steps: int, guided: bool) -> None:
        self.second: LaterStage = DryRunSecondStage(self, steps, guided)
        self.prompts: dict[str, None] = {}
        self.asked: list[tuple[int, int]] = []  # (stage, images)

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
    """A second stage with the given number of steps, guided or not, that predicts zero noise."""

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
    """Returns the workload of these sections for a model whose second stage takes `steps` steps, guided or not.

    Raises DrawingError if a `draw` fails or does not return a panel.
    """
    model, threads = DryRunModel(steps, guided), torch.get_num_threads()
    torch.set_num_threads(1)  # more threads only add overhead on such small tensors
    try:
        with torch.inference_mode():
            for section in sections:
                batching.run(works(section, Lab(model)))
    finally:
        torch.set_num_threads(threads)
    first, second, third = (sum(images for stage, images in model.asked if stage == number) for number in (1, 2, 3))
    return Workload(tuple(model.prompts), first, second, third, tuple(model.asked))
