"""Estimates in closed form: data whose noise can be told exactly, to hold the sampling loop against.

With the data's posterior mean E[x_0 | x_t], the best estimate of the noise is E[eps | x_t] = (x_t - sqrt(abar_t)
E[x_0 | x_t]) / sqrt(1 - abar_t).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from generators.diffusion import Estimate, Noise, Schedule


def cosine() -> Tensor:
    """abar of the cosine schedule (Nichol and Dhariwal 2021, eq. 17; beta at most 0.999), float64 (1000,)."""
    f = [math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(1001)]
    alphas = [1 - min(1 - f[t + 1] / f[t], 0.999) for t in range(1000)]
    return torch.tensor(alphas, dtype=torch.float64).cumprod(0)


class Unclipped(Schedule):
    """A schedule that leaves the estimate of x_0 as it is, so that a step is linear in it."""

    def clip(self, x0: Tensor) -> Tensor:
        return x0


def gaussian(schedule: Schedule, mu: float | Tensor, s: float) -> Estimate:
    """The estimate for x_0 ~ N(mu, s^2 I): E[x_0 | x_t] = mu + s^2 sqrt(abar) (x_t - sqrt(abar) mu) / var(x_t)."""

    def estimate(x: Tensor, t: int) -> Noise:
        abar, x_t = schedule.abar[t].double(), x.double()
        x0 = mu + s**2 * abar.sqrt() * (x_t - abar.sqrt() * mu) / (abar * s**2 + 1 - abar)
        return _noise(x, abar, x0)

    return estimate


def mixture(schedule: Schedule, modes: Tensor, weights: Tensor, s: float, each_pixel: bool = False) -> Estimate:
    """The estimate for x_0 ~ sum_k weights[k] N(modes[k], s^2 I), modes (K, 3, H, W) or (K, 1, 1, 1).

    With `each_pixel` every pixel chooses its mode for itself, otherwise the whole image does.
    """

    def estimate(x: Tensor, t: int) -> Noise:
        abar, x_t = schedule.abar[t].double(), x.double()
        variance = abar * s**2 + 1 - abar
        away = x_t - abar.sqrt() * modes.double()
        evidence = -(away**2) / (2 * variance)
        if not each_pixel:
            evidence = evidence.sum((1, 2, 3), keepdim=True)
        share = (evidence + weights.double().log().view(-1, 1, 1, 1)).softmax(0)
        x0 = (share * (modes.double() + s**2 * abar.sqrt() * away / variance)).sum(0)
        return _noise(x, abar, x0)

    return estimate


def _noise(x: Tensor, abar: Tensor, x0: Tensor) -> Noise:
    return Noise(((x.double() - abar.sqrt() * x0) / (1 - abar).sqrt()).to(x.dtype))
