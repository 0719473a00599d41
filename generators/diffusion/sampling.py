"""The one sampling loop, and the ways to enter it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from .estimates import Estimate, Part
from .schedule import Schedule

Project = Callable[[Tensor, int | None], Tensor]
Trajectory = Iterator[tuple[int | None, Tensor]]


def gaussian(generator: torch.Generator, like: Tensor) -> Tensor:
    """Standard normal noise of `like`'s shape, on its device; drawn on the CPU in float32, the same everywhere.

    For a GPU it lies in pinned memory, from which the GPU fetches it by the way, and nobody waits.
    """
    drawn = torch.randn(like.shape, generator=generator, pin_memory=like.is_cuda)
    return drawn.to(like.device, like.dtype, non_blocking=True)


def iterative_denoise(
    schedule: Schedule,
    estimate: Estimate,
    x: Tensor,
    timesteps: Sequence[int],
    generator: torch.Generator,
    project: Project = lambda x, t: x,
) -> Trajectory:
    """Walk from x = x_t at the first timestep to the clean image. Yields (t, x_t), the start included.

    The last pair is (None, x_0): after the smallest t comes one step without fresh noise, as in diffusers' pipelines.
    Each other step draws its z from the generator. `project(x, t)` amends the image after every step. Where the
    timesteps rise (see `resampled`), noise is added again.
    """
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
) -> Trajectory:
    """Generate an image of `like`'s shape from pure noise, which is the generator's first draw."""
    return iterative_denoise(schedule, estimate, gaussian(generator, like), timesteps, generator)


def sdedit(
    schedule: Schedule, estimate: Estimate, timesteps: Sequence[int], generator: torch.Generator, x0: Tensor
) -> Trajectory:
    """SDEdit (Meng et al. 2022): noise x0 to the first timestep, then denoise. The fewer steps, the nearer to x0."""
    x = schedule.forward(x0, timesteps[0], gaussian(generator, x0))
    return iterative_denoise(schedule, estimate, x, timesteps, generator)


def inpaint(
    schedule: Schedule,
    estimate: Estimate,
    timesteps: Sequence[int],
    generator: torch.Generator,
    x0: Tensor,
    mask: Tensor,
) -> Trajectory:
    """New content where the mask, (1, H, W), is 1, from pure noise; see `keep_known`, and `resampled` for RePaint."""
    x = gaussian(generator, x0)
    project = keep_known(schedule, x0, mask, generator)
    return iterative_denoise(schedule, estimate, x, timesteps, generator, project)


def keep_known(schedule: Schedule, x0: Tensor, mask: Tensor, generator: torch.Generator) -> Project:
    """The projection that makes the loop inpaint (after RePaint, Lugmayr et al. 2022).

    mask: (1, H, W), 1 where new content goes, 0 where x0 stays. (RePaint's own masks mean the opposite.)
    Where the mask is 0, x_t' is replaced by x0 noised to t'; at the clean end, by x0 itself.
    """

    def project(x: Tensor, t: int | None) -> Tensor:
        known = x0 if t is None else schedule.forward(x0, t, gaussian(generator, x0))
        return mask * x + (1 - mask) * known

    return project


def keep_part(schedule: Schedule, x0: Tensor, part: Part, generator: torch.Generator) -> Project:
    """The projection that keeps one part of a picture x0 and leaves the rest to the estimate.

    f(x_t') is replaced by f of x0 noised to t', and at the clean end of x0 itself (Geng et al. 2024, "Factorized
    Diffusion", on inverse problems).

    part: f, linear, such as `low_pass`: then the picture is what one sees from afar, an inverse hybrid.
    """

    def project(x: Tensor, t: int | None) -> Tensor:
        known = x0 if t is None else schedule.forward(x0, t, gaussian(generator, x0))
        return part(known) + (x - part(x))

    return project


def resampled(timesteps: Sequence[int], length: int, times: int) -> list[int]:
    """RePaint's order of the falling timesteps (Lugmayr et al. 2022, section 4.2): at every `length` of them, noise is
    added over as many steps and taken away again, until they have been gone down `times` times.

    So new content and known come to agree. The paper has 250 timesteps, length 10 and 10 times; times = 1 changes
    nothing. Raises ValueError where one of the two is less than 1.
    """
    if length < 1 or times < 1:
        raise ValueError(f"jumps of length {length}, {times} times: both are at least 1")
    order: list[int] = []
    for level in reversed(range(len(timesteps))):  # counted from the clean end, as the paper does
        order.append(level)
        if level % length == 0 and level < len(timesteps) - length:
            up, down = range(level + 1, level + length + 1), reversed(range(level, level + length))
            order += [*up, *down] * (times - 1)
    return [timesteps[-1 - level] for level in order]


def last(trajectory: Trajectory) -> Tensor:
    """The clean image at the end of a trajectory."""
    *_, (_, x) = trajectory
    return x
