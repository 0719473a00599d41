"""The sampling loop, its entry points, and the projections and timestep orders that modify it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from .batching import along
from .estimates import Estimate
from .schedule import Schedule

Project = Callable[[Tensor, int | None], Tensor]
Steps = Iterator[tuple[int | None, Tensor]]  # (t, x_t); t is None at the clean end


def gaussian(generator: torch.Generator, like: Tensor) -> Tensor:
    """Returns standard normal noise with the shape, dtype and device of `like`.

    It is drawn in float32 on the generator's device, usually the CPU, so that it is the same wherever `like` is. For a
    CUDA device it is pinned, which makes the copy asynchronous.
    """
    on_cpu = generator.device.type == "cpu"
    drawn = torch.randn(like.shape, generator=generator, device=generator.device, pin_memory=like.is_cuda and on_cpu)
    # Asynchronous for CUDA only: elsewhere the copy might read memory that has been freed.
    return drawn.to(like.device, like.dtype, non_blocking=like.is_cuda)


def iterative_denoise(
    schedule: Schedule,
    estimate: Estimate,
    x: Tensor,
    timesteps: Sequence[int],
    generator: torch.Generator,
    project: Project = lambda x, t: x,
) -> Steps:
    """Denoises x = x_t, at the first timestep, to the clean image. Yields (t, x_t), the start included.

    The last pair is (None, x_0): the step after the last timestep adds no noise, as in diffusers' pipelines. Each other
    step draws its z from the generator. `project(x, t)` modifies the image after every reverse step. Where the
    timesteps rise (see `resampled`), the image is noised again.
    """
    estimate = along(timesteps, generator.initial_seed(), estimate)  # one trajectory of the panel's record
    yield timesteps[0], x
    for t, t_next in zip(timesteps, [*timesteps[1:], None], strict=True):
        if t_next is not None and t_next > t:
            x = schedule.again(x, t, t_next, gaussian(generator, x))
            yield t_next, x
            continue
        noise = estimate(x, t)
        z = None if t_next is None else gaussian(generator, x)
        x = project(schedule.step(x, t, t_next, noise, z), t_next)
        yield t_next, x


def sample(
    schedule: Schedule, estimate: Estimate, timesteps: Sequence[int], generator: torch.Generator, like: Tensor
) -> Steps:
    """Generates an image of `like`'s shape from pure noise, the generator's first draw."""
    return iterative_denoise(schedule, estimate, gaussian(generator, like), timesteps, generator)


def sdedit(
    schedule: Schedule, estimate: Estimate, timesteps: Sequence[int], generator: torch.Generator, x0: Tensor
) -> Steps:
    """SDEdit (Meng et al. 2022): noises x0 to the first timestep, then denoises. A lower first t stays closer to x0."""
    x = schedule.forward(x0, timesteps[0], gaussian(generator, x0))
    return iterative_denoise(schedule, estimate, x, timesteps, generator)


def inpaint(
    schedule: Schedule,
    estimate: Estimate,
    timesteps: Sequence[int],
    generator: torch.Generator,
    x0: Tensor,
    mask: Tensor,
) -> Steps:
    """Inpaints x0, (3, H, W), where the mask, (1, H, W), is 1, from pure noise. For RePaint, see `resampled`."""
    x = gaussian(generator, x0)
    project = keep_known(schedule, x0, mask, generator)
    return iterative_denoise(schedule, estimate, x, timesteps, generator, project)


def keep_known(schedule: Schedule, x0: Tensor, mask: Tensor, generator: torch.Generator) -> Project:
    """Returns the projection for inpainting (RePaint, Lugmayr et al. 2022, eq. 8).

    x_t' <- mask x_t' + (1 - mask) forward(x_0, t'). mask: (1, H, W), 1 for new content, 0 for x0; RePaint's own masks
    have the opposite meaning.
    """

    def project(x: Tensor, t: int | None) -> Tensor:
        return mask * x + (1 - mask) * _noised(schedule, x0, t, generator)

    return project


def _noised(schedule: Schedule, x0: Tensor, t: int | None, generator: torch.Generator) -> Tensor:
    """Returns x0 noised to level t; at the clean end, t None, x0 itself."""
    return x0 if t is None else schedule.forward(x0, t, gaussian(generator, x0))


def resampled(timesteps: Sequence[int], length: int, times: int) -> list[int]:
    """Returns RePaint's resampling order of the falling timesteps (Lugmayr et al. 2022, section 4.2).

    Every `length` timesteps, the order jumps back up by `length` timesteps and descends again, until it has descended
    `times` times. This harmonises new and known content. The paper uses 250 timesteps, length j = 10 and times r = 10;
    times = 1 changes nothing. Raises ValueError if length or times is less than 1.
    """
    if length < 1 or times < 1:
        raise ValueError(f"jumps of length {length}, {times} times: both must be at least 1")
    order: list[int] = []
    for level in reversed(range(len(timesteps))):  # counted from the clean end, as in the paper
        order.append(level)
        if level % length == 0 and level < len(timesteps) - length:
            up, down = range(level + 1, level + length + 1), reversed(range(level, level + length))
            order += [*up, *down] * (times - 1)
    return [timesteps[-1 - level] for level in order]


def last(steps: Steps) -> Tensor:
    """Returns x_0, the end of a trajectory."""
    *_, (_, x) = steps
    return x
