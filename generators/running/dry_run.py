"""A stand-in model that computes nothing. Drawing with it finds a run's workload in seconds.

No section's control flow depends on pixels, so its prompts and evaluations follow from its code alone. All prompts can
therefore be encoded before the first stage is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..diffusion.estimates import Estimate, Noise
from ..diffusion.schedule import Schedule, T
from ..models.base import Cascade, LaterStage, Stage

SCHEDULE = Schedule(torch.linspace(0.999, 0.001, T))
UNLIMITED = 10**6  # images in a forward: one call takes all queries


class Silent(Stage):
    """A first stage that predicts zero noise and records its calls."""

    schedule = SCHEDULE
    chunk = UNLIMITED

    def __init__(self, model: DryRunModel) -> None:
        super().__init__(model.meter)
        self.model = model

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        self.model.prompts |= dict.fromkeys(prompts)
        self.model.asked.append((self.number, len(x)))
        return Noise(torch.zeros_like(x[:, :3]))


class SilentLater(Silent, LaterStage):
    """A second stage with the given number of steps, guided or not, that predicts zero noise."""

    number, side = 2, 256

    def __init__(self, model: DryRunModel, steps: int, guided: bool) -> None:
        super().__init__(model)
        self.is_guided, self.timesteps = guided, list(range(steps))[::-1]

    def begin(self, low: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = low.new_zeros(3, 256, 256)
        return x, x

    def guided(self, prompt: str, gamma: float | None = None) -> Estimate:
        return super().guided(prompt) if self.is_guided else self.noise(prompt)


class SilentThird:
    """A third stage that returns black images and records its calls."""

    def __init__(self, model: DryRunModel) -> None:
        self.model = model

    def enlarge(self, low: Tensor, guide: str | Estimate, generator: torch.Generator) -> Tensor:
        self.model.asked.append((3, 1))
        return low.new_zeros(3, 4 * low.shape[-2], 4 * low.shape[-1])


class DryRunModel(Cascade):
    """A cascade that computes nothing. asked: (stage, images) of each call."""

    name = description = "a stand-in"

    def __init__(self, steps: int, guided: bool) -> None:
        super().__init__()
        self.prompts: dict[str, None] = {}
        self.asked: list[tuple[int, int]] = []
        self.first, self.second, self.third = Silent(self), SilentLater(self, steps, guided), SilentThird(self)
