"""What a section may use: the model's estimates, the input images, noise by sample number, shared trajectories."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from . import inputs
from .diffusion.estimates import Estimate
from .diffusion.sampling import gaussian, inpaint, last, sample, sdedit
from .diffusion.schedule import strided
from .diffusion.strands import Once, note
from .models.base import Model

SEED = 42  # of sample 0, everywhere; sample k uses 42 + k

Result = TypeVar("Result")


class Lab:
    """The bench at which a section draws. Everything that it hands out is noted in the record of the panel."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.schedule = model.schedule
        self._once = Once()
        self._image = lru_cache(self._load)

    def image(self, name: str | Path) -> Tensor:
        """The input image called `name` in report/inputs, or in the file at a path: (3, 64, 64) in -1 … 1.

        Raises InputError.
        """
        image, digest = self._image(name)
        note("input", name if isinstance(name, str) else name.name, digest)
        return image

    def _load(self, name: str | Path) -> tuple[Tensor, str]:
        path = inputs.find(name) if isinstance(name, str) else name
        digest = inputs.digest_of(path)  # before the pixels are read: a later change makes the section stale
        pixels = torch.from_numpy(inputs.read(path, 64)).permute(2, 0, 1)
        return (pixels * 2 - 1).to(self.model.device), digest

    def generator(self, k: int = 0) -> torch.Generator:
        """The random numbers of sample k: a CPU generator at seed 42 + k, new at every call."""
        note("seed", SEED + k)
        return torch.Generator().manual_seed(SEED + k)

    def noise(self, k: int = 0) -> Tensor:
        """The first Gaussian noise of sample k, (3, 64, 64)."""
        return gaussian(self.generator(k), self.model.blank())

    def estimate(self, prompt: str) -> Estimate:
        """The model's own estimate for a prompt, without guidance."""
        return self.model.noise(prompt)

    def guided(self, prompt: str, gamma: float | None = None) -> Estimate:
        """The estimate with classifier-free guidance away from the empty prompt; None takes the model's own gamma."""
        note("gamma", self.model.gamma if gamma is None else gamma)
        return self.model.guided(prompt, gamma=gamma)

    def sample(self, estimate: Estimate, k: int = 0, stride: int = 30) -> Tensor:
        """Sample k, from pure noise down the strided timesteps."""
        return last(sample(self.schedule, estimate, strided(stride), self.generator(k), self.model.blank()))

    def sdedit(self, estimate: Estimate, x0: Tensor, i_start: int) -> Tensor:
        """The image x0, noised to the timestep of index `i_start` and denoised again, with the noise of sample 0."""
        return last(sdedit(self.schedule, estimate, strided(i_start=i_start), self.generator(), x0))

    def inpaint(self, estimate: Estimate, x0: Tensor, mask: Tensor, timesteps: Sequence[int] | None = None) -> Tensor:
        """The image x0 with new content where the mask, (1, H, W), is 1, with the noise of sample 0.

        timesteps: None for the strided ones; those of `resampled` make it RePaint.
        """
        timesteps = strided() if timesteps is None else timesteps
        return last(inpaint(self.schedule, estimate, timesteps, self.generator(), x0, mask))

    def enlarge(self, x: Tensor, prompt: str, k: int = 0) -> Tensor:
        """The next stage of the cascade: four times as many pixels a side."""
        note("enlarged", prompt)
        return self.model.enlarge(x, prompt, self.generator(k))

    def enlarging(self, prompt: str, given: Tensor) -> Estimate:
        """The second stage's estimate for a prompt, as that stage is guided; for use in `enlarge_by`."""
        return self.model.second.guided(prompt, given)

    def enlarge_by(self, x: Tensor, estimate: Callable[[Tensor], Estimate], k: int = 0) -> Tensor:
        """From 64 to 256 pixels along an estimate of the section's own making.

        `estimate` is handed what the second stage knows of the smaller image, which is an image too: an estimate that
        looks at x through a view is to see that through the same view.
        """
        return self.model.second.sample(x, self.generator(k), estimate)

    def once(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """What several panels share, such as a trajectory: computed by the first that asks for this key."""
        return self._once(key, work)
