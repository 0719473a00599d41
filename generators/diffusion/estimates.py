"""Noise estimates and their combinations.

An estimate is a callable (x, t) -> Noise that predicts the noise in x = x_t, (3, H, W). A model's `noise(prompt)` is
one. Every function here takes estimates and returns an estimate, so they can be nested.

In a later stage of a cascade, x has more channels: x_t, then the conditioning image of the same size. A view acts on
all of them, and the noise has three, so the same nested estimate samples at 64 pixels and enlarges to 256.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import NamedTuple

import torch
from torch import Tensor

from .batching import gather
from .views import View


class Noise(NamedTuple):
    """eps: the noise, of the image's shape. frac: the learned variance, in 0 … 1 per pixel, of the same shape, as the
    position between its bounds (see `Schedule.sigma`); None if the network does not predict it.

    diffusers calls them model_output and predicted_variance, the latter in -1 … 1.
    """

    eps: Tensor
    frac: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Noise:
        """Applies the function to both fields."""
        return Noise(function(self.eps), None if self.frac is None else function(self.frac))


Estimate = Callable[[Tensor, int], Noise]
Part = Callable[[Tensor], Tensor]  # a linear filter of images; the parts of an image add up to it


def _evaluate(estimates: tuple[Estimate, ...], x: Tensor, t: int) -> list[Noise]:
    return gather([partial(estimate, x, t) for estimate in estimates])


def cfg(cond: Estimate, uncond: Estimate, gamma: float) -> Estimate:
    """Classifier-free guidance (Ho and Salimans 2022): eps = eps_u + gamma (eps_c - eps_u).

    gamma = 0 is unconditional, 1 is conditional, more exaggerates the prompt. The variance is the conditional one.
    """

    def estimate(x: Tensor, t: int) -> Noise:
        u, c = _evaluate((uncond, cond), x, t)
        return Noise(u.eps + gamma * (c.eps - u.eps), c.frac)

    return estimate


def mean(*estimates: Estimate) -> Estimate:
    """Returns the mean of the estimates, including their variances."""

    def estimate(x: Tensor, t: int) -> Noise:
        noises = _evaluate(estimates, x, t)
        fracs = [noise.frac for noise in noises if noise.frac is not None]
        return Noise(
            torch.stack([noise.eps for noise in noises]).mean(0),
            torch.stack(fracs).mean(0) if fracs else None,
        )

    return estimate


def viewed(estimate_: Estimate, view: View) -> Estimate:
    """Returns the estimate made through a view v: eps = v^-1(eps(v(x), t)).

    The inverse restores the position and the sign of the noise; of the variance, which has no sign, only the position.
    """

    def estimate(x: Tensor, t: int) -> Noise:
        eps, frac = estimate_(view(x), t)
        return Noise(view.inverse(eps), None if frac is None else view.back(frac))

    return estimate


def anagram(*readings: tuple[Estimate, View]) -> Estimate:
    """A visual anagram (Geng et al. 2024, "Visual Anagrams"), an image that matches each estimate through its view:
    eps = mean of v_i^-1(eps_i(v_i(x), t))."""
    return mean(*(viewed(estimate, view) for estimate, view in readings))


def factorised(estimates: Sequence[Estimate], parts: Sequence[Part]) -> Estimate:
    """Factorized Diffusion (Geng et al. 2024): one estimate for each part of an image x = f_1(x) + f_2(x) + …

    eps = f_1(eps_1) + f_2(eps_2) + …; parts: linear f_i that add up to the identity (see `filters`). Only the noise is
    filtered; the variance is the first estimate's. A hybrid image (Oliva et al. 2006) has two parts: low(eps_1) is seen
    from afar, high(eps_2) close up. Raises ValueError unless each part has one estimate.
    """
    if len(estimates) != len(parts):
        raise ValueError(f"{len(estimates)} estimates for {len(parts)} parts: each part needs one estimate")

    def estimate(x: Tensor, t: int) -> Noise:
        noises = _evaluate(tuple(estimates), x, t)
        return Noise(reduce(torch.add, [f(noise.eps) for f, noise in zip(parts, noises, strict=True)]), noises[0].frac)

    return estimate
