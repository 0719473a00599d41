"""What every model offers, and how the questions of many strands become few calls of its network."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..diffusion.estimates import Estimate, Noise
from ..diffusion.schedule import Schedule
from ..diffusion.strands import ask, note
from . import ModelError


def schedule_of(scheduler: Any) -> Schedule:
    """The schedule that a diffusers DDPMScheduler describes; without thresholding it only clips."""
    config = scheduler.config
    return Schedule(
        scheduler.alphas_cumprod,
        threshold=config.sample_max_value if config.thresholding else 1.0,
        quantile=config.dynamic_thresholding_ratio,
    )


class Query(NamedTuple):
    """Which noise is in x, (3, H, W), at t, for this prompt?"""

    prompt: str
    x: Tensor
    t: int


class Model(ABC):
    """A text-conditioned denoiser for 64 x 64 images, and the stages that enlarge what it draws.

    name, description: what the page says. digest: sha256 over the weights. schedule: the noise schedule it was trained
    on. gamma: the guidance scale wherever a section names none. chunk: the most images in one forward; halved for good
    when a CUDA device runs out of memory.
    """

    name: str
    description: str
    digest: str
    schedule: Schedule
    device: torch.device = torch.device("cpu")
    dtype: torch.dtype = torch.float32
    gamma: float = 7.0  # the course's
    chunk: int = 32
    calls: int = 0  # forwards of the network so far
    evaluations: int = 0  # images in them
    on_answer: Callable[[int], None] = staticmethod(lambda evaluations: None)  # told how many evaluations a call made

    @abstractmethod
    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        """One forward of the network: x (N, 3, 64, 64), t (N,) int64 and N prompts; both parts of the answer (N, …)."""

    @abstractmethod
    def enlarge(self, x: Tensor, prompt: str, generator: torch.Generator) -> Tensor:
        """The next stage: (3, H, W) to (3, 4 H, 4 W), from 64 to 256 pixels and from 256 to 1024."""

    def blank(self) -> Tensor:
        """An image of the shape, dtype and device that the model samples in."""
        return torch.zeros(3, 64, 64, device=self.device)

    def noise(self, prompt: str) -> Estimate:
        """The model's estimate of the noise, given the prompt; "" is the unconditional one."""

        def estimate(x: Tensor, t: int) -> Noise:
            noise, seconds = ask(Query(prompt, x, t), self.answer)
            note("evaluation", prompt, t, seconds)
            return noise

        return estimate

    @torch.inference_mode()
    def answer(self, queries: list[Query]) -> list[tuple[Noise, float]]:
        """Answer all the queries, `chunk` at a time. Each answer comes with its share of the call's seconds."""
        answers: list[tuple[Noise, float]] = []
        while len(answers) < len(queries):
            some = queries[len(answers) : len(answers) + self.chunk]
            began = time.perf_counter()
            try:
                noise = self.predict(
                    torch.stack([query.x for query in some]),
                    torch.tensor([query.t for query in some], device=self.device),
                    [query.prompt for query in some],
                )
            except torch.cuda.OutOfMemoryError:
                if self.chunk == 1:
                    raise ModelError(f"{self.name}: one image alone is too much for this GPU's memory") from None
                self.chunk //= 2
                torch.cuda.empty_cache()
                continue
            self.calls, self.evaluations = self.calls + 1, self.evaluations + len(some)
            seconds = (time.perf_counter() - began) / len(some)
            answers += [(_part(noise, k), seconds) for k in range(len(some))]
            self.on_answer(len(some))
        return answers


def _part(noise: Noise, k: int) -> Noise:
    return noise.map(lambda both: both[k])
