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


class Lap:
    """How long a call took, for each of its images: `float(lap)`, in seconds.

    A GPU takes its calls long before it has answered them. There the moments are marks among its work, and nobody waits
    for them before the seconds are asked for.
    """

    def __init__(self, device: torch.device, images: int) -> None:
        self.gpu, self.images = device.type == "cuda", images
        self.began = self._now()

    def stop(self) -> None:
        self.ended = self._now()

    def _now(self) -> Any:
        if not self.gpu:
            return time.perf_counter()
        mark = torch.cuda.Event(enable_timing=True)
        mark.record()
        return mark

    def __float__(self) -> float:
        if not self.gpu:
            return (self.ended - self.began) / self.images
        self.ended.synchronize()
        return self.began.elapsed_time(self.ended) / 1000 / self.images


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
            noise, lap = ask(Query(prompt, x, t), self.answer)
            note("evaluation", prompt, t, lap)
            return noise

        return estimate

    def wait(self) -> None:
        """Return when the device has done all that it was asked."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @torch.inference_mode()
    def answer(self, queries: list[Query]) -> list[tuple[Noise, Lap]]:
        """Answer all the queries, `chunk` at a time, and tell each how long its call took. Does not wait for a GPU."""
        answers: list[tuple[Noise, Lap]] = []
        while len(answers) < len(queries):
            some = queries[len(answers) : len(answers) + self.chunk]
            lap, gpu = Lap(self.device, len(some)), self.device.type == "cuda"
            try:
                noise = self.predict(
                    torch.stack([query.x for query in some]),
                    # Pinned: from other memory the GPU copies only when it has finished what it is at.
                    torch.tensor([query.t for query in some], pin_memory=gpu).to(self.device, non_blocking=True),
                    [query.prompt for query in some],
                )
            except torch.cuda.OutOfMemoryError:
                if self.chunk == 1:
                    raise ModelError(f"{self.name}: one image alone is too much for this GPU's memory") from None
                self.chunk //= 2
                torch.cuda.empty_cache()
                continue
            self.calls, self.evaluations = self.calls + 1, self.evaluations + len(some)
            lap.stop()
            answers += [(_part(noise, k), lap) for k in range(len(some))]
            self.on_answer(len(some))
        return answers


def _part(noise: Noise, k: int) -> Noise:
    return noise.map(lambda both: both[k])
