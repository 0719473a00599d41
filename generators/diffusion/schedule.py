"""The noise schedule: how much of the image is left at each t, and one step from t back to a smaller t'.

With abar_t, the product of the alphas up to t (Ho et al. 2020, "Denoising Diffusion Probabilistic Models"):

    x_t  = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps                               the forward process, eq. 4
    x_0  = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)                           the same, solved for x_0
    x_t' = sqrt(abar_t') beta_t / (1 - abar_t) x_0
           + sqrt(alpha_t) (1 - abar_t') / (1 - abar_t) x_t + sigma_t z          the posterior mean, eq. 7

where, on strided timesteps, alpha_t = abar_t / abar_t' and beta_t = 1 - alpha_t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .estimates import Noise

T = 1000  # the number of noise levels that the networks are trained on


def strided(stride: int = 30, i_start: int = 0) -> list[int]:
    """The timesteps 990, 960 … 0 (for a stride of 30, 34 of them), from index `i_start` on.

    A stride of 20 gives 50 timesteps from 980, a stride of 10 gives 100 from 990. Raises ValueError where `i_start`
    leaves none.
    """
    timesteps = list(range(0, T, stride))[::-1][i_start:]
    if i_start < 0 or not timesteps:
        raise ValueError(f"i_start = {i_start}: stride {stride} has the indices 0 to {len(range(0, T, stride)) - 1}")
    return timesteps


@dataclass(frozen=True)
class Schedule:
    """A noise schedule, and the way in which a step treats its estimate of the clean image.

    abar: (1000,) float32 on the CPU, falling from almost 1 to almost 0. Never half precision: 1 - abar_0 would be 0.
    threshold: how far the estimate of x_0 may reach before it is scaled back into -1 … 1: dynamic thresholding (Saharia
        et al. 2022, "Imagen", section 2.3) at the 0.95 quantile of |x_0|, at least 1 and at most this. 1 only clips.
    """

    abar: Tensor
    threshold: float = 1.0
    quantile: float = 0.95

    def at(self, t: int | None) -> Tensor:
        """abar_t; None stands for the clean image, where abar is 1."""
        return torch.ones((), dtype=self.abar.dtype) if t is None else self.abar[t]

    def forward(self, x0: Tensor, t: int | None, eps: Tensor) -> Tensor:
        """x_t: the image x_0 with the Gaussian noise eps, of the same shape, at level t."""
        abar_t = self.at(t)
        return abar_t**0.5 * x0 + (1 - abar_t) ** 0.5 * eps

    def again(self, x: Tensor, t: int, t_higher: int, eps: Tensor) -> Tensor:
        """x at a higher level than its t, by so much Gaussian noise eps as lies between (Ho et al. 2020, eq. 2)."""
        alpha = self.at(t_higher) / self.at(t)
        return alpha**0.5 * x + (1 - alpha) ** 0.5 * eps

    def one_step(self, x: Tensor, t: int, noise: Noise) -> Tensor:
        """The estimate of x_0 from x_t and its estimated noise, as it is: neither clipped nor thresholded."""
        abar_t = self.at(t)
        return (x - (1 - abar_t) ** 0.5 * noise.eps) / abar_t**0.5

    def eps_of(self, x: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        """The noise that takes x_0 to x_t: for networks that answer with x_0. Batched: x (N, 3, H, W), t (N,)."""
        abar_t = self.abar.to(t.device)[t].view(-1, 1, 1, 1)
        return (x - abar_t**0.5 * x0) / (1 - abar_t) ** 0.5

    def step(self, x: Tensor, t: int, t_next: int | None, noise: Noise, z: Tensor | None) -> Tensor:
        """x_t' from x_t, where t' = t_next < t; None as t_next ends at the clean image, without fresh noise.

        z: standard normal noise of x's shape, None for none.
        """
        abar_t, abar_next = self.at(t), self.at(t_next)
        alpha_t = abar_t / abar_next
        beta_t = 1 - alpha_t
        x0 = self.clip(self.one_step(x, t, noise))
        x0_part = (abar_next**0.5 * beta_t) / (1 - abar_t) * x0
        x_part = alpha_t**0.5 * (1 - abar_next) / (1 - abar_t) * x
        mean = x0_part + x_part
        return mean if z is None else mean + self.sigma(t, t_next, noise.frac) * z

    def sigma(self, t: int, t_next: int | None, frac: Tensor | None) -> Tensor:
        """The standard deviation of a step's fresh noise.

        Fixed (frac None): the posterior's own, sqrt of beta~_t = (1 - abar_t') / (1 - abar_t) beta_t. Learned: the
        network's frac, in 0 … 1, mixes log beta_t and log beta~_t (Nichol and Dhariwal 2021, eq. 15).
        """
        abar_t, abar_next = self.at(t), self.at(t_next)
        beta_t = 1 - abar_t / abar_next
        beta_tilde = ((1 - abar_next) / (1 - abar_t) * beta_t).clamp(min=1e-20)
        if frac is None:
            return beta_tilde**0.5
        return torch.exp(0.5 * (frac * beta_t.log() + (1 - frac) * beta_tilde.log()))

    def clip(self, x0: Tensor) -> Tensor:
        """Bring an estimate of x_0 back into -1 … 1: scaled down where it reaches far, then clipped."""
        if self.threshold <= 1:
            return x0.clamp(-1, 1)
        s = torch.quantile(x0.abs().flatten(), self.quantile).clamp(1, self.threshold)
        return x0.clamp(-s, s) / s
