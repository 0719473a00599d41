"""What every model offers, and how the questions of many tasks become few calls of its network."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..diffusion.batching import ask, note
from ..diffusion.estimates import Estimate, Noise, cfg
from ..diffusion.sampling import iterative_denoise, last
from ..diffusion.schedule import Schedule
from . import ModelError
from .forward_cache import ForwardCache


def schedule_of(scheduler: Any) -> Schedule:
    """The schedule that a diffusers DDPMScheduler describes; without thresholding it only clips."""
    config = scheduler.config
    return Schedule(
        scheduler.alphas_cumprod,
        threshold=config.sample_max_value if config.thresholding else 1.0,
        quantile=config.dynamic_thresholding_ratio,
    )


class Query(NamedTuple):
    """Which noise is in x, (3, H, W), at t, for this prompt? given: what a later stage knows of x besides."""

    prompt: str
    x: Tensor
    t: int
    given: Tensor | None = None


class Stopwatch:
    """How long a call took, for each of its images: `float(stopwatch)`, in seconds.

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


class Stage(ABC):
    """A text-conditioned denoiser for images of one size: one network of a cascade.

    schedule: the noise schedule it was trained on. gamma: its guidance scale wherever none is named. chunk: the most
    images in one forward; halved for good when a CUDA device runs out of memory.
    """

    schedule: Schedule
    device: torch.device = torch.device("cpu")
    gamma: float
    chunk: int

    @property
    @abstractmethod
    def model(self) -> Model:
        """The model to which the stage belongs, and which keeps count of the forwards."""

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, queries: Sequence[Query]) -> Noise:
        """One forward of the network, for the queries with these x, (N, 3, H, W), and t, (N,) int64."""

    def noise(self, prompt: str, given: Tensor | None = None) -> Estimate:
        """The network's estimate of the noise, given the prompt; "" is the unconditional one."""

        def estimate(x: Tensor, t: int) -> Noise:
            noise, stopwatch = ask(Query(prompt, x, t, given), self.answer)
            note("evaluation" if given is None else "later evaluation", prompt, t, stopwatch)
            return noise

        return estimate

    def guided(self, prompt: str, given: Tensor | None = None, gamma: float | None = None) -> Estimate:
        """The estimate with classifier-free guidance away from the empty prompt; None takes the stage's own gamma."""
        gamma = self.gamma if gamma is None else gamma
        return cfg(self.noise(prompt, given), self.noise("", given), gamma)

    def wait(self) -> None:
        """Return when the device has done all that it was asked."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @torch.inference_mode()
    def answer(self, queries: list[Query]) -> list[tuple[Noise, Stopwatch | float]]:
        """Answer all the queries, `chunk` at a time, and tell each how long its call took. Does not wait for a GPU."""
        answers: list[tuple[Noise, Stopwatch | float]] = []
        while len(answers) < len(queries):
            some = queries[len(answers) : len(answers) + self.chunk]
            try:
                answers += self._found(some) or self._computed(some)
            except torch.cuda.OutOfMemoryError:
                if self.chunk == 1:
                    raise ModelError(f"{self.model.name}: one image alone is too much for this GPU's memory") from None
                self.chunk //= 2
                torch.cuda.empty_cache()
        return answers

    def _computed(self, queries: list[Query]) -> list[tuple[Noise, Stopwatch | float]]:
        """One forward; where answers are kept, they are on disk when it returns."""
        stopwatch, gpu = Stopwatch(self.device, len(queries)), self.device.type == "cuda"
        # Pinned: from other memory the GPU copies only when it has finished what it is at.
        t = torch.tensor([query.t for query in queries], pin_memory=gpu).to(self.device, non_blocking=True)
        noise = self.forward(torch.stack([query.x for query in queries]), t, queries)
        stopwatch.stop()
        parts = [_part(noise, k) for k in range(len(queries))]
        if self.model.forward_cache:
            for query, part in zip(queries, parts, strict=True):
                tensors = {"eps": part.eps} if part.frac is None else {"eps": part.eps, "frac": part.frac}
                self.model.forward_cache.keep(tensors, float(stopwatch), type(self).__name__, *query)
        self.model.count(len(queries))
        return [(part, stopwatch) for part in parts]

    def _found(self, queries: list[Query]) -> list[tuple[Noise, Stopwatch | float]]:
        """The answers that a run which was killed has left; none where one is missing, for batches round as a whole."""
        found: list[tuple[Noise, Stopwatch | float]] = []
        answers = self.model.forward_cache
        if answers is None:
            return found
        for query in queries:
            kept = answers.find(type(self).__name__, *query)
            if kept is None:
                return []
            tensors, seconds = kept
            found.append((Noise(tensors["eps"], tensors.get("frac")).map(lambda part: part.to(self.device)), seconds))
        self.model.count(len(found))
        answers.seconds += sum(float(seconds) for _, seconds in found)
        return found


class LaterStage(Stage):
    """A stage that enlarges: it denoises an image of `scale` times as many pixels a side, given the smaller one.

    timesteps: those that it visits, falling.
    """

    timesteps: Sequence[int]

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def model(self) -> Model:
        return self._model

    def forward(self, x: Tensor, t: Tensor, queries: Sequence[Query]) -> Noise:
        given = torch.stack([query.given for query in queries if query.given is not None])
        return self.predict(x, t, [query.prompt for query in queries], given)

    @abstractmethod
    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str], given: Tensor) -> Noise:
        """One forward of the network, as `Model.predict`; given, (N, …): what `begin` says of each smaller image."""

    @abstractmethod
    def begin(self, low: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """x at the first timestep, and what the network is given of `low`, (3, H, W), in every step.

        The second is an image as well, (…, H', W'), noise on it included. So a view of x goes with the same view of it.
        """

    def sample(self, low: Tensor, generator: torch.Generator, estimate: Callable[[Tensor], Estimate]) -> Tensor:
        """Sample an enlargement of `low`. estimate: from what the network is given, the estimate to follow."""
        x, given = self.begin(low, generator)
        return last(iterative_denoise(self.schedule, estimate(given), x, self.timesteps, generator))

    def enlarge(self, low: Tensor, prompt: str, generator: torch.Generator) -> Tensor:
        """Sample an enlargement of `low`, led by a prompt."""
        return self.sample(low, generator, lambda given: self.guided(prompt, given))


class Model(Stage):
    """The first stage of a cascade, which draws 64 x 64 images, and the stages that enlarge them.

    name, description: what the page says. digest: sha256 over the weights. settings: what else a record should hold of
    how the model was set up, as texts by name. second: the stage from 64 to 256 pixels.
    """

    name: str
    description: str
    digest: str
    settings: Mapping[str, str] = MappingProxyType({})
    dtype: torch.dtype = torch.float32
    gamma: float = 7.0  # the course's
    chunk: int = 32
    second: LaterStage
    resumes: bool = False  # whether its sections take so long that answers are kept while one is drawn
    forward_cache: ForwardCache | None = None  # those of the section that is being drawn
    calls: int = 0  # forwards of the networks so far
    evaluations: int = 0  # images in them
    on_evaluated: Callable[[int], None] = staticmethod(
        lambda evaluations: None
    )  # called with how many evaluations a call made

    @property
    def model(self) -> Model:
        return self

    def forward(self, x: Tensor, t: Tensor, queries: Sequence[Query]) -> Noise:
        return self.predict(x, t, [query.prompt for query in queries])

    @abstractmethod
    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        """One forward of the network: x (N, 3, 64, 64), t (N,) int64 and N prompts; both parts of the answer (N, …)."""

    def count(self, evaluations: int) -> None:
        """Note one forward of a network, of so many images."""
        self.calls, self.evaluations = self.calls + 1, self.evaluations + evaluations
        self.on_evaluated(evaluations)

    @abstractmethod
    def enlarge(self, x: Tensor, prompt: str, generator: torch.Generator) -> Tensor:
        """The next stage: (3, H, W) to (3, 4 H, 4 W), from 64 to 256 pixels and from 256 to 1024."""

    def blank(self) -> Tensor:
        """An image of the shape, dtype and device that the model samples in."""
        return torch.zeros(3, 64, 64, device=self.device)


def _part(noise: Noise, k: int) -> Noise:
    return noise.map(lambda both: both[k])
