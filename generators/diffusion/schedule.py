"""The noise schedule: the forward process, and one reverse step from t to a smaller t'.

With abar_t, the product of the alphas up to t (Ho et al. 2020, "Denoising Diffusion Probabilistic Models"):

    x_t  = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps                               the forward process, eq. 4
    x_0  = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)                           the same, solved for x_0
    x_t' = sqrt(abar_t') beta_t / (1 - abar_t) x_0
           + sqrt(alpha_t) (1 - abar_t') / (1 - abar_t) x_t + sigma_t z          the posterior mean, eq. 7, with noise

On strided timesteps, alpha_t = abar_t / abar_t' and beta_t = 1 - alpha_t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .estimates import Noise

T = 1000  # number of noise levels in training


def strided(stride: int = 30, i_start: int = 0) -> list[int]:
    """Returns the falling timesteps, every `stride`-th down to 0, from index `i_start` on.

    A stride of 30 gives 34 timesteps (990, 960 … 0), 20 gives 50 (from 980), 10 gives 100 (from 990). Raises ValueError
    if `i_start` is out of range.
    """
    timesteps = list(range(0, T, stride))[::-1][i_start:]
    if i_start < 0 or not timesteps:
        raise ValueError(f"i_start = {i_start}: stride {stride} has the indices 0 to {len(range(0, T, stride)) - 1}")
    return timesteps


@dataclass(frozen=True)
class Schedule:
    """A noise schedule with the thresholding of x_0.

    abar: (1000,) float32 on the CPU, falling from almost 1 to almost 0. In half precision 1 - abar_0 would be 0.
    threshold, quantile: dynamic thresholding (Saharia et al. 2022, "Imagen", section 2.3): x_0 is clipped at this
        quantile of |x_0|, limited to 1 … threshold, and scaled back into -1 … 1. A threshold of 1 only clips.
    """

    abar: Tensor
    threshold: float = 1.0
    quantile: float = 0.95

    def at(self, t: int | None) -> Tensor:
        """Returns abar_t; t = None is the clean image, where abar is 1."""
        return torch.ones((), dtype=self.abar.dtype) if t is None else self.abar[t]

    def batched(self, t: Tensor) -> Tensor:
        """Returns abar_t for timesteps t, (N,), on their device, as (N, 1, 1, 1)."""
        return self.abar.to(t.device)[t].view(-1, 1, 1, 1)

    def forward(self, x0: Tensor, t: int | None, eps: Tensor) -> Tensor:
        """Returns x_t: x_0 noised to level t with standard normal eps of its shape (eq. 4; diffusers' add_noise)."""
        abar_t = self.at(t)
        return abar_t**0.5 * x0 + (1 - abar_t) ** 0.5 * eps

    def again(self, x: Tensor, t: int, t_higher: int, eps: Tensor) -> Tensor:
        """Noises x = x_t to the higher level t_higher, with standard normal eps (eq. 2, composed over several steps).

        x_t_higher = sqrt(alpha) x_t + sqrt(1 - alpha) eps, where alpha = abar_t_higher / abar_t.
        """
        alpha = self.at(t_higher) / self.at(t)
        return alpha**0.5 * x + (1 - alpha) ** 0.5 * eps

    def one_step(self, x: Tensor, t: int, noise: Noise) -> Tensor:
        """Returns the estimate of x_0 from x = x_t and its estimated noise, neither clipped nor thresholded (diffusers'
        pred_original_sample)."""
        abar_t = self.at(t)
        return (x - (1 - abar_t) ** 0.5 * noise.eps) / abar_t**0.5

    def eps_of(self, x: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        """Returns the eps of eq. 4 for networks that predict x_0. Batched: x = x_t and x0 (N, 3, H, W), t (N,)."""
        abar_t = self.batched(t)
        return (x - abar_t**0.5 * x0) / (1 - abar_t) ** 0.5

    def step(self, x: Tensor, t: int, t_next: int | None, noise: Noise, z: Tensor | None) -> Tensor:
        """Returns x_t' from x = x_t, where t' = t_next < t; t_next = None is the clean image.

        z: standard normal noise of x's shape; None on the last step.
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
        """Returns sigma_t, the standard deviation of a step's fresh noise.

        Fixed (frac None): sigma_t^2 = beta~_t = (1 - abar_t') / (1 - abar_t) beta_t, the posterior's variance. Learned:
        frac, in 0 … 1 per pixel, interpolates log beta~_t and log beta_t (Nichol and Dhariwal 2021, eq. 15).
        """
        abar_t, abar_next = self.at(t), self.at(t_next)
        beta_t = 1 - abar_t / abar_next
        beta_tilde = ((1 - abar_next) / (1 - abar_t) * beta_t).clamp(min=1e-20)
        if frac is None:
            return beta_tilde**0.5
        return torch.exp(0.5 * (frac * beta_t.log() + (1 - frac) * beta_tilde.log()))

    def clip(self, x0: Tensor) -> Tensor:
        """Limits an estimate of x_0 to -1 … 1 by dynamic thresholding, or by clipping if `threshold` is 1."""
        if self.threshold <= 1:
            return x0.clamp(-1, 1)
        s = torch.quantile(x0.abs().flatten(), self.quantile).clamp(1, self.threshold)
        return x0.clamp(-s, s) / s
