"""The interface of a section: the model's estimates, input images, noise by sample number, shared trajectories."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from . import inputs
from .diffusion import masks
from .diffusion.batching import SharedWork, trace
from .diffusion.estimates import Estimate
from .diffusion.sampling import gaussian, inpaint, last, sample, sdedit
from .diffusion.schedule import strided
from .models.base import Cascade
from .settings import MINE

SEED = MINE.seed  # of sample 0; sample k has the seed SEED + k
STREAM = 1_000_000  # between the seeds of two stages: the noise of a later stage must not depend on that of an earlier

Result = TypeVar("Result")


class Scale(Enum):
    """Guidance scales with a reason (report/decisions.md). DeepFloyd's are all 7, the course's."""

    OWN = "the model's own"
    READING = "7, for readings that are averaged, which weaken each other, and for details over another large scale"
    BALANCED = "half-way between both, for parts of equal weight, and for details over a given image"


class Lab:
    """What a section draws with. Everything it returns is noted in the panel's record."""

    def __init__(self, model: Cascade) -> None:
        self.model = model
        self.schedule = model.schedule
        self._shared = SharedWork()
        self._image = lru_cache(self._load)

    def image(self, name: str | Path) -> Tensor:
        """Returns the input image called `name` in report/report.toml, or the file at a path: (3, 64, 64) in -1 … 1.

        Raises InputError.
        """
        image, digest = self._image(name)
        trace().inputs[name if isinstance(name, str) else name.name] = digest
        return image

    def _load(self, name: str | Path) -> tuple[Tensor, str]:
        path = inputs.find(name) if isinstance(name, str) else name
        digest = inputs.digest_of(path)  # before reading the pixels, so that a later change makes the section stale
        pixels = torch.from_numpy(inputs.read(path, 64)).permute(2, 0, 1)
        return (pixels * 2 - 1).to(self.model.device), digest

    def hole(self, name: str | Path) -> Tensor:
        """Returns the mask of the input image called `name`, or the one in the file at a path, (1, 64, 64): 1 where new
        content goes.

        Raises InputError, also for a mask without black or without white.
        """
        if isinstance(name, str) and (hole := MINE.holes[name]):
            return masks.rectangle(hole.rows, hole.columns).to(self.model.device)
        shown = f"{name}.mask" if isinstance(name, str) else name
        return masks.painted(self.image(shown), str(shown))

    def generator(self, k: int = 0, stage: int = 1) -> torch.Generator:
        """Returns a new CPU generator for sample k: seeded with SEED + k. Later stages have streams of their own,
        one and two million further."""
        if stage == 1:
            trace().seeds[SEED + k] = None
        return torch.Generator().manual_seed(SEED + k + (stage - 1) * STREAM)

    def noise(self, k: int = 0) -> Tensor:
        """Returns the first Gaussian noise of sample k, (3, 64, 64)."""
        return gaussian(self.generator(k), self.model.blank())

    def estimate(self, prompt: str) -> Estimate:
        """Returns the model's estimate for a prompt, without guidance."""
        return self.model.noise(prompt)

    def guided(self, prompt: str, gamma: float | Scale = Scale.OWN) -> Estimate:
        """Returns the estimate for a prompt, guided against the empty prompt. In `enlarge`, the later stage's own scale
        takes the place of gamma."""
        own = self.model.first.gamma
        scales = {Scale.OWN: own, Scale.READING: 7.0, Scale.BALANCED: (own + 7) / 2}
        return self.model.guided(prompt, scales[gamma] if isinstance(gamma, Scale) else gamma)

    def sample(self, estimate: Estimate, k: int = 0, timesteps: Sequence[int] | None = None) -> Tensor:
        """Draws sample k, (3, 64, 64), from pure noise. timesteps: None for the course's, every 30th."""
        timesteps = strided() if timesteps is None else timesteps
        return last(sample(self.schedule, estimate, timesteps, self.generator(k), self.model.blank()))

    def sdedit(self, estimate: Estimate, x0: Tensor, i_start: int) -> Tensor:
        """Noises x0 to the timestep of index `i_start` with the noise of sample 0, then denoises it."""
        return last(sdedit(self.schedule, estimate, strided(i_start=i_start), self.generator(), x0))

    def inpaint(self, estimate: Estimate, x0: Tensor, mask: Tensor, timesteps: Sequence[int] | None = None) -> Tensor:
        """The image x0 with new content where the mask, (1, H, W), is 1, with the noise of sample 0.

        timesteps: None for the strided ones; those of `resampled` make it RePaint.
        """
        timesteps = strided() if timesteps is None else timesteps
        return last(inpaint(self.schedule, estimate, timesteps, self.generator(), x0, mask))

    def enlarge(self, x: Tensor, guide: str | Estimate, k: int = 0) -> Tensor:
        """Enlarges sample k, x of (3, H, W), to (3, 4 H, 4 W) with the next stage of the cascade.

        guide: a prompt, or an estimate such as that from which x was sampled.
        """
        return self.model.enlarge(x, guide, self.generator(k, stage=2 if x.shape[-1] == 64 else 3))

    def shared(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """Returns work shared by several panels, such as a trajectory: computed once for each key."""
        return self._shared(key, work)
