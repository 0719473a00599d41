"""The interface of a section: the model's estimates, input images, noise by sample number, shared trajectories."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from . import inputs
from .diffusion.batching import SharedWork, note
from .diffusion.estimates import Estimate
from .diffusion.sampling import gaussian, inpaint, last, sample, sdedit
from .diffusion.schedule import strided
from .models.base import Model

SEED = 42  # of sample 0; sample k uses 42 + k
READING_GAMMA = 7.0  # the course's

Result = TypeVar("Result")


class Lab:
    """What a section draws with. Everything it returns is noted in the panel's record."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.schedule = model.schedule
        self._shared = SharedWork()
        self._image = lru_cache(self._load)

    def image(self, name: str | Path) -> Tensor:
        """Returns the input image called `name` in report/writeup/inputs, or the file at a path: (3, 64, 64) in -1 … 1.

        Raises InputError.
        """
        image, digest = self._image(name)
        note("input", name if isinstance(name, str) else name.name, digest)
        return image

    def _load(self, name: str | Path) -> tuple[Tensor, str]:
        path = inputs.find(name) if isinstance(name, str) else name
        digest = inputs.digest_of(path)  # before reading the pixels, so that a later change makes the section stale
        pixels = torch.from_numpy(inputs.read(path, 64)).permute(2, 0, 1)
        return (pixels * 2 - 1).to(self.model.device), digest

    def generator(self, k: int = 0) -> torch.Generator:
        """Returns a new CPU generator for sample k, seeded with 42 + k."""
        note("seed", SEED + k)
        return torch.Generator().manual_seed(SEED + k)

    def noise(self, k: int = 0) -> Tensor:
        """Returns the first Gaussian noise of sample k, (3, 64, 64)."""
        return gaussian(self.generator(k), self.model.blank())

    def estimate(self, prompt: str) -> Estimate:
        """Returns the model's estimate for a prompt, without guidance."""
        return self.model.noise(prompt)

    def guided(self, prompt: str, gamma: float | None = None) -> Estimate:
        """Returns the estimate with classifier-free guidance against the empty prompt; gamma None: the model's own
        scale."""
        note("gamma", self.model.gamma if gamma is None else gamma)
        return self.model.guided(prompt, gamma=gamma)

    def reading(self, prompt: str) -> Estimate:
        """Returns the guided estimate for a reading that must prevail over another, with gamma = 7 whatever the model's
        own scale: for readings whose estimates are averaged, and so weaken each other where they disagree; and for the
        details of an image whose large scale shows something else."""
        return self.guided(prompt, READING_GAMMA)

    def part(self, prompt: str) -> Estimate:
        """Returns the guided estimate for one of several parts of equal weight, such as three bands, or grey and
        colour, and for the details over a given image, with gamma half-way between the model's own scale and 7."""
        return self.guided(prompt, (self.model.gamma + READING_GAMMA) / 2)

    def sample(self, estimate: Estimate, k: int = 0, stride: int = 30) -> Tensor:
        """Draws sample k, (3, 64, 64), from pure noise along the strided timesteps."""
        return last(sample(self.schedule, estimate, strided(stride), self.generator(k), self.model.blank()))

    def sdedit(self, estimate: Estimate, x0: Tensor, i_start: int) -> Tensor:
        """Noises x0 to the timestep of index `i_start` with the noise of sample 0, then denoises it."""
        return last(sdedit(self.schedule, estimate, strided(i_start=i_start), self.generator(), x0))

    def inpaint(self, estimate: Estimate, x0: Tensor, mask: Tensor, timesteps: Sequence[int] | None = None) -> Tensor:
        """The image x0 with new content where the mask, (1, H, W), is 1, with the noise of sample 0.

        timesteps: None for the strided ones; those of `resampled` make it RePaint.
        """
        timesteps = strided() if timesteps is None else timesteps
        return last(inpaint(self.schedule, estimate, timesteps, self.generator(), x0, mask))

    def enlarge(self, x: Tensor, prompt: str, k: int = 0) -> Tensor:
        """Enlarges x, (3, H, W), to (3, 4 H, 4 W) with the next stage of the cascade."""
        note("enlarged", prompt)
        return self.model.enlarge(x, prompt, self.generator(k))

    def enlarging(self, prompt: str, given: Tensor) -> Estimate:
        """Returns the second stage's estimate for a prompt, with that stage's guidance; for use in `enlarge_by`."""
        return self.model.second.guided(prompt, given)

    def enlarge_by(self, x: Tensor, estimate: Callable[[Tensor], Estimate], k: int = 0) -> Tensor:
        """Enlarges x from 64 to 256 pixels along the section's own estimate.

        estimate: takes the second stage's conditioning, which is an image; an estimate that views x must apply the same
        view to it.
        """
        return self.model.second.sample(x, self.generator(k), estimate)

    def shared(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """Returns work shared by several panels, such as a trajectory: computed once for each key."""
        return self._shared(key, work)
