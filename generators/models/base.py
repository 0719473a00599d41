"""A cascade of text-conditioned denoisers, and the batching of many tasks' queries into few calls of each network."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ..diffusion.batching import ask, trajectory
from ..diffusion.estimates import Estimate, Noise, cfg
from ..diffusion.sampling import iterative_denoise, last
from ..diffusion.schedule import Schedule
from ..records.errors import ModelError
from .forward_cache import ForwardCache, Question
from .gpu import Stopwatch, out_of_memory


def schedule_of(scheduler: Any) -> Schedule:
    """Returns the schedule of a diffusers DDPMScheduler; without thresholding it clips."""
    config = scheduler.config
    return Schedule(
        scheduler.alphas_cumprod,
        threshold=config.sample_max_value if config.thresholding else 1.0,
        quantile=config.dynamic_thresholding_ratio,
    )


class Query(NamedTuple):
    """A query for the noise in x, (C, H, W), at t under this prompt."""

    prompt: str
    x: Tensor
    t: int

    @property
    def identity(self) -> tuple[str, int, int]:
        """Equal for queries of the same tensor, which have the same answer."""
        return self.prompt, id(self.x), self.t


class Evaluation:
    """One image in a forward. Queries of the same tensors share it. float(evaluation): its part of the call's duration
    in seconds."""

    def __init__(self, duration: Stopwatch | float) -> None:
        self._duration = duration

    def __float__(self) -> float:
        return float(self._duration)


Answer = tuple[Noise, Evaluation]


class Meter:
    """Counts what the networks of a cascade do, and holds the cache of their outputs while a section is drawn.

    calls: forwards so far. evaluations: images in them. on_evaluated: called after each forward with its images.
    """

    def __init__(self) -> None:
        self.calls = self.evaluations = 0
        self.on_evaluated: Callable[[int], None] = lambda evaluations: None
        self.cache: ForwardCache | None = None

    def count(self, evaluations: int) -> None:
        """Counts one forward with so many images."""
        self.calls, self.evaluations = self.calls + 1, self.evaluations + evaluations
        self.on_evaluated(evaluations)


class Stage(ABC):
    """A text-conditioned denoiser for images of one size: one network of a cascade.

    number: 1, 2 or 3. side: the pixels a side of its images; None for any. schedule: the noise schedule of its
    training. gamma: its default guidance scale. chunk: the most images in one forward; halved for good when a CUDA
    device runs out of memory.
    """

    number: int = 1
    side: int | None = 64
    schedule: Schedule
    device: torch.device = torch.device("cpu")
    gamma: float = 7.0  # the course's
    chunk: int = 32

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    @abstractmethod
    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        """Runs one forward of the network on x (N, C, S, S), t (N,) int64 and N prompts.

        Both fields of the result are (N, 3, S, S). In the first stage C is 3; in a later one x has the conditioning
        images after the first three channels.
        """

    def noise(self, prompt: str, gamma: float | None = None) -> Estimate:
        """Returns the network's noise estimate under the prompt; "" is the unconditional one.

        gamma: the guidance scale that it serves, for the record. The estimate raises ValueError for an x of another
        size.
        """

        def estimate(x: Tensor, t: int) -> Noise:
            if self.side and x.shape[1:] != (self.side, self.side):  # here, where the section's own code is at fault
                raise ValueError(f"x is a tensor {tuple(x.shape)}; the network takes (3, {self.side}, {self.side})")
            noise, evaluation = ask(Query(prompt, x, t), self.answer)
            trajectory(t).evaluated(self.number, prompt, gamma, evaluation)
            return noise

        return estimate

    def guided(self, prompt: str, gamma: float | None = None) -> Estimate:
        """Returns the estimate with classifier-free guidance against the empty prompt; gamma None: the stage's own
        scale."""
        gamma = self.gamma if gamma is None else gamma
        return cfg(self.noise(prompt, gamma), self.noise("", gamma), gamma)

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
        while left := queries[len(answers) :]:
            some = left[: math.ceil(len(left) / math.ceil(len(left) / self.chunk))]
            if answered := self._attempted(some):
                answers += answered
                continue
            if len(some) == 1:
                raise ModelError(f"stage {self.number}: one image does not fit in this GPU's memory")
            self.chunk = len(some) // 2
            torch.cuda.empty_cache()
        return answers

    def _attempted(self, queries: list[Query]) -> list[Answer]:
        """Answers the queries in one forward. Returns none if a GPU's memory runs out; the error is gone then, and with
        it the activations that it would keep alive."""
        try:
            x = torch.stack([query.x for query in queries])
            return self._found(queries, x) or self._computed(queries, x)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            return []

    def _computed(self, queries: list[Query], x: Tensor) -> list[Answer]:
        """Runs one forward. If outputs are cached, a thread writes them."""
        stopwatch, gpu = Stopwatch(self.device, len(queries)), self.device.type == "cuda"
        # Pinned, because a copy from pageable memory waits until the GPU is idle.
        t = torch.tensor([query.t for query in queries], pin_memory=gpu).to(self.device, non_blocking=gpu)
        noise = self.predict(x, t, [query.prompt for query in queries])
        stopwatch.stop()
        if self.meter.cache:
            outputs = {name: tensor for name, tensor in noise._asdict().items() if tensor is not None}
            self.meter.cache.keep(self._questions(queries), [x], outputs, stopwatch)
        return self._answers(noise, [stopwatch] * len(queries))

    def _found(self, queries: list[Query], x: Tensor) -> list[Answer]:
        """Reads the outputs that an interrupted run cached; none if any is missing."""
        cache = self.meter.cache
        found = cache and cache.find(self._questions(queries), [x])
        if not found:
            return []
        outputs, durations = found
        return self._answers(Noise(**{name: tensor.to(self.device) for name, tensor in outputs.items()}), durations)

    def _questions(self, queries: list[Query]) -> list[Question]:
        return [(self.number, query.prompt, query.t) for query in queries]

    def _answers(self, noise: Noise, durations: Sequence[Stopwatch | float]) -> list[Answer]:
        """Counts a forward and returns its answers, one for each image."""
        self.meter.count(len(durations))
        return [(noise.map(itemgetter(k)), Evaluation(duration)) for k, duration in enumerate(durations)]


class Enlarging(Protocol):
    """What enlarges an image by 4 in each direction."""

    def enlarge(self, low: Tensor, guide: str | Estimate, generator: torch.Generator) -> Tensor: ...


class LaterStage(Stage):
    """A stage that denoises an enlargement, conditioned on the smaller image.

    timesteps: those it visits, in descending order.
    """

    timesteps: Sequence[int]

    @abstractmethod
    def begin(self, low: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns x, (3, S, S), at the first timestep, and the conditioning on `low`, (C, S, S), for every step.

        The conditioning is an image too, including its noise, so a view of x acts on it as well.
        """

    def guided(self, prompt: str, gamma: float | None = None) -> Estimate:
        """As in the first stage, but always with this stage's own scale."""
        return super().guided(prompt)

    def enlarge(self, low: Tensor, guide: str | Estimate, generator: torch.Generator) -> Tensor:
        """Samples an enlargement of `low`, (3, H, W), under a prompt or along an estimate, whose x has the conditioning
        after the first three channels."""
        estimate = self.guided(guide) if isinstance(guide, str) else guide
        x, given = self.begin(low, generator)

        def conditioned(x: Tensor, t: int) -> Noise:
            return estimate(torch.cat([x, given]), t)

        return last(iterative_denoise(self.schedule, conditioned, x, self.timesteps, generator))


class Cascade:
    """Three stages: one samples images of 64 pixels, two enlarge them to 256 and to 1024.

    name, description: shown on the page. digest: sha256 over the weights. settings: further set-up for the records, as
    texts by name. resumes: whether outputs are cached while a section is drawn, because sections take long.
    """

    name: str
    description: str
    digest: str
    settings: Mapping[str, str] = MappingProxyType({})
    dtype: torch.dtype = torch.float32
    resumes: bool = False
    first: Stage
    second: LaterStage
    third: Enlarging

    def __init__(self) -> None:
        self.meter = Meter()
        self._enlarging: dict[int, Any] = {}  # by the side of its images, the stage that has enlarged to it

    @property
    def schedule(self) -> Schedule:
        return self.first.schedule

    @property
    def device(self) -> torch.device:
        return self.first.device

    def hint(self, prompt: str) -> str:
        """Returns what to expect of a prompt that the model cannot draw; "" if it can, or if that is not known."""
        return ""

    def stage_of(self, x: Tensor) -> Stage:
        """Returns the stage that denoises x: the first for an image alone, a later one for one with conditioning."""
        return self.first if len(x) == 3 else self._enlarging[x.shape[-1]]

    def noise(self, prompt: str) -> Estimate:
        """Returns the noise estimate under the prompt of whichever stage denoises x; "" is the unconditional one."""
        return lambda x, t: self.stage_of(x).noise(prompt)(x, t)

    def guided(self, prompt: str, gamma: float | None = None) -> Estimate:
        """Returns the same with classifier-free guidance. gamma: of the first stage; None for its own scale. Later
        stages have scales of their own."""
        return lambda x, t: self.stage_of(x).guided(prompt, gamma)(x, t)

    @torch.inference_mode()
    def enlarge(self, x: Tensor, guide: str | Estimate, generator: torch.Generator) -> Tensor:
        """Enlarges (3, H, W) to (3, 4 H, 4 W) with the next stage, under a prompt or along an estimate."""
        stage = self.second if x.shape[-1] == self.first.side else self.third
        self._enlarging[4 * x.shape[-1]] = stage
        return stage.enlarge(x, guide, generator)

    def blank(self) -> Tensor:
        """Returns an image of the shape, dtype and device that the first stage samples in."""
        return torch.zeros(3, 64, 64, device=self.device)

    def wait(self) -> None:
        """Waits until the device has finished its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
