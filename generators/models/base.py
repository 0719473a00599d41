"""The interface of every model, and the batching of many tasks' queries into few calls of its network."""

from __future__ import annotations

import math
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
from ..records.errors import ModelError
from .forward_cache import ForwardCache


def schedule_of(scheduler: Any) -> Schedule:
    """Returns the schedule of a diffusers DDPMScheduler; without thresholding it clips."""
    config = scheduler.config
    return Schedule(
        scheduler.alphas_cumprod,
        threshold=config.sample_max_value if config.thresholding else 1.0,
        quantile=config.dynamic_thresholding_ratio,
    )


class Query(NamedTuple):
    """A query for the noise in x, (3, H, W), at t under this prompt. given: a later stage's conditioning."""

    prompt: str
    x: Tensor
    t: int
    given: Tensor | None = None

    @property
    def identity(self) -> tuple[str, int, int, int]:
        """Equal for queries of the same tensors, which have the same answer."""
        return self.prompt, id(self.x), self.t, id(self.given)


class Stopwatch:
    """Duration of a call per image: `float(stopwatch)`, in seconds.

    A GPU runs calls asynchronously, so there the times are CUDA events, and only `float` waits for them.
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


class Evaluation:
    """One image in a forward. Queries of the same tensors share it. float(evaluation): its part of the call's duration
    in seconds."""

    def __init__(self, duration: Stopwatch | float) -> None:
        self._duration = duration

    def __float__(self) -> float:
        return float(self._duration)


Answer = tuple[Noise, Evaluation]


class Stage(ABC):
    """A text-conditioned denoiser for images of one size: one network of a cascade.

    schedule: the noise schedule of its training. side: the pixels a side of its images, or None. gamma: its default
    guidance scale. chunk: the most images in one forward; halved for good when a CUDA device runs out of memory.
    """

    schedule: Schedule
    device: torch.device = torch.device("cpu")
    side: int | None = None
    gamma: float
    chunk: int

    @property
    @abstractmethod
    def model(self) -> Model:
        """The model that the stage belongs to; it counts the forwards."""

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, queries: Sequence[Query]) -> Noise:
        """Runs one forward of the network for queries with these x, (N, 3, H, W), and t, (N,) int64."""

    def noise(self, prompt: str, given: Tensor | None = None) -> Estimate:
        """Returns the network's noise estimate under the prompt; "" is the unconditional one.

        The estimate raises ValueError for an x of another shape than (3, side, side).
        """

        def estimate(x: Tensor, t: int) -> Noise:
            if self.side and x.shape != (
                3,
                self.side,
                self.side,
            ):  # here, where the section's own code is at fault, not in the batch
                raise ValueError(f"x is a tensor {tuple(x.shape)}; the network takes (3, {self.side}, {self.side})")
            noise, evaluation = ask(Query(prompt, x, t, given), self.answer)
            note("evaluation" if given is None else "later evaluation", prompt, t, evaluation)
            return noise

        return estimate

    def guided(self, prompt: str, given: Tensor | None = None, gamma: float | None = None) -> Estimate:
        """Returns the estimate with classifier-free guidance against the empty prompt; gamma None: the stage's own
        scale."""
        gamma = self.gamma if gamma is None else gamma
        return cfg(self.noise(prompt, given), self.noise("", given), gamma)

    def wait(self) -> None:
        """Waits until the device has finished its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @torch.inference_mode()
    def answer(self, queries: list[Query]) -> list[Answer]:
        """Answers all queries, equal ones once: both readings of a hybrid image are guided against the empty prompt at
        the same x_t. Does not wait for a GPU."""
        distinct = {query.identity: query for query in queries}
        answers = dict(zip(distinct, self._answered(list(distinct.values())), strict=True))
        return [answers[query.identity] for query in queries]

    def _answered(self, queries: list[Query]) -> list[Answer]:
        """Answers the queries in equal batches of at most `chunk`: a small rest would be slow."""
        answers: list[Answer] = []
        while len(answers) < len(queries):
            left = len(queries) - len(answers)
            size = math.ceil(left / math.ceil(left / self.chunk))
            some = queries[len(answers) : len(answers) + size]
            try:
                answers += self._found(some) or self._computed(some)
            except torch.cuda.OutOfMemoryError:
                if self.chunk == 1:
                    raise ModelError(f"{self.model.name}: a single image does not fit in this GPU's memory") from None
                self.chunk //= 2
                torch.cuda.empty_cache()
        return answers

    def _computed(self, queries: list[Query]) -> list[Answer]:
        """Runs one forward. If outputs are cached, they are on disk when it returns."""
        stopwatch, gpu = Stopwatch(self.device, len(queries)), self.device.type == "cuda"
        # Pinned, because a copy from pageable memory waits until the GPU is idle.
        t = torch.tensor([query.t for query in queries], pin_memory=gpu).to(self.device, non_blocking=True)
        noise = self.forward(torch.stack([query.x for query in queries]), t, queries)
        stopwatch.stop()
        parts = [_part(noise, k) for k in range(len(queries))]
        if self.model.forward_cache:
            for query, part in zip(queries, parts, strict=True):
                tensors = {"eps": part.eps} if part.frac is None else {"eps": part.eps, "frac": part.frac}
                self.model.forward_cache.keep(tensors, float(stopwatch), type(self).__name__, *query)
        self.model.count(len(queries))
        return [(part, Evaluation(stopwatch)) for part in parts]

    def _found(self, queries: list[Query]) -> list[Answer]:
        """Reads the outputs that an interrupted run cached; none if any is missing, since rounding depends on the
        batch."""
        found: list[Answer] = []
        answers = self.model.forward_cache
        if answers is None:
            return found
        for query in queries:
            kept = answers.find(type(self).__name__, *query)
            if kept is None:
                return []
            tensors, seconds = kept
            noise = Noise(tensors["eps"], tensors.get("frac")).map(lambda part: part.to(self.device))
            found.append((noise, Evaluation(seconds)))
        self.model.count(len(found))
        answers.seconds += sum(float(evaluation) for _, evaluation in found)
        return found


class LaterStage(Stage):
    """A stage that denoises an enlargement of `scale` times as many pixels a side, conditioned on the smaller image.

    timesteps: those it visits, in descending order.
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
        """Runs one forward of the network, as `Model.predict`; given, (N, …): the conditioning from `begin` for each
        image."""

    @abstractmethod
    def begin(self, low: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns x at the first timestep, and the conditioning on `low`, (3, H, W), for every step.

        The conditioning is an image too, (…, H', W'), including its noise, so a view of x must be applied to it as
        well.
        """

    def sample(self, low: Tensor, generator: torch.Generator, estimate: Callable[[Tensor], Estimate]) -> Tensor:
        """Samples an enlargement of `low`, (3, H, W). estimate: takes the conditioning and returns the estimate to
        follow."""
        x, given = self.begin(low, generator)
        return last(iterative_denoise(self.schedule, estimate(given), x, self.timesteps, generator))

    def enlarge(self, low: Tensor, prompt: str, generator: torch.Generator) -> Tensor:
        """Samples an enlargement of `low`, (3, H, W), under a prompt."""
        return self.sample(low, generator, lambda given: self.guided(prompt, given))


class Model(Stage):
    """The first stage of a cascade, which samples 64 x 64 images, together with the stages that enlarge them.

    name, description: shown on the page. digest: sha256 over the weights. settings: further set-up for the records, as
    texts by name. second: the stage from 64 to 256 pixels.
    """

    name: str
    description: str
    digest: str
    settings: Mapping[str, str] = MappingProxyType({})
    dtype: torch.dtype = torch.float32
    side: int | None = 64
    gamma: float = 7.0  # the course's
    chunk: int = 32
    second: LaterStage
    resumes: bool = False  # whether outputs are cached while a section is drawn, because sections take long
    forward_cache: ForwardCache | None = None  # the cache of the current section
    calls: int = 0  # forwards of the networks so far
    evaluations: int = 0  # images in them
    on_evaluated: Callable[[int], None] = staticmethod(lambda evaluations: None)  # called after each forward

    @property
    def model(self) -> Model:
        return self

    def forward(self, x: Tensor, t: Tensor, queries: Sequence[Query]) -> Noise:
        return self.predict(x, t, [query.prompt for query in queries])

    @abstractmethod
    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        """Runs one forward of the network on x (N, 3, 64, 64), t (N,) int64 and N prompts; both parts of the result are
        (N, …)."""

    def count(self, evaluations: int) -> None:
        """Counts one forward with so many evaluations."""
        self.calls, self.evaluations = self.calls + 1, self.evaluations + evaluations
        self.on_evaluated(evaluations)

    @abstractmethod
    def enlarge(self, x: Tensor, prompt: str, generator: torch.Generator) -> Tensor:
        """Enlarges (3, H, W) to (3, 4 H, 4 W) with the next stage: 64 to 256 pixels, or 256 to 1024."""

    def blank(self) -> Tensor:
        """Returns an image of the shape, dtype and device that the model samples in."""
        return torch.zeros(3, 64, 64, device=self.device)


def _part(noise: Noise, k: int) -> Noise:
    return noise.map(lambda both: both[k])
