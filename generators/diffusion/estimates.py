"""Estimates of the noise in an image, and what can be made of several.

An estimate is a callable (x, t) -> Noise: given x_t, (3, H, W), and t, it says which noise is in it. A model's
`noise(prompt)` is one. Everything here takes estimates and gives an estimate, so that they nest freely.
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
    """eps: the noise, of the image's shape. frac: where the step's variance lies between its bounds, in 0 … 1 at each
    pixel (see `Schedule.sigma`); None where the network has not learned it."""

    eps: Tensor
    frac: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Noise:
        """The same function of both parts."""
        return Noise(function(self.eps), None if self.frac is None else function(self.frac))


Estimate = Callable[[Tensor, int], Noise]
Part = Callable[[Tensor], Tensor]  # what a linear filter leaves of an image


def _evaluate(estimates: tuple[Estimate, ...], x: Tensor, t: int) -> list[Noise]:
    return gather([partial(estimate, x, t) for estimate in estimates])


def cfg(cond: Estimate, uncond: Estimate, gamma: float) -> Estimate:
    """Classifier-free guidance (Ho and Salimans 2022): eps = eps_u + gamma (eps_c - eps_u).

    gamma = 0 is unconditional, 1 conditional, more exaggerates the prompt. The variance is the conditional's.
    """

    def estimate(x: Tensor, t: int) -> Noise:
        u, c = _evaluate((uncond, cond), x, t)
        return Noise(u.eps + gamma * (c.eps - u.eps), c.frac)

    return estimate


def mean(*estimates: Estimate) -> Estimate:
    """The mean of the estimates, of their variances too."""

    def estimate(x: Tensor, t: int) -> Noise:
        noises = _evaluate(estimates, x, t)
        fracs = [noise.frac for noise in noises if noise.frac is not None]
        return Noise(
            torch.stack([noise.eps for noise in noises]).mean(0),
            torch.stack(fracs).mean(0) if fracs else None,
        )

    return estimate


def viewed(estimate_: Estimate, view: View) -> Estimate:
    """The estimate as made through a view, such as upside down: look at view(x), then undo the view.

    The noise is undone in place and in sign; the variance, which has no sign, only in place.
    """

    def estimate(x: Tensor, t: int) -> Noise:
        eps, frac = estimate_(view(x), t)
        return Noise(view.inverse(eps), None if frac is None else view.back(frac))

    return estimate


def anagram(*readings: tuple[Estimate, View]) -> Estimate:
    """A visual anagram (Geng et al. 2024, "Visual Anagrams"): an image that through each view is what the
    estimate beside it says. The mean of the estimates as made through their views, of their variances too."""
    return mean(*(viewed(estimate, view) for estimate, view in readings))


def factorised(estimates: Sequence[Estimate], parts: Sequence[Part]) -> Estimate:
    """Factorized Diffusion (Geng et al. 2024): an image x = f_1(x) + f_2(x) + …, each part by an estimate of its own.

    eps = f_1(eps_1) + f_2(eps_2) + …; parts: the f, linear, which add up to the identity (see `filters`). They see the
    noise only; the variance is the first estimate's. Raises ValueError unless there are as many parts as estimates.
    """
    if len(estimates) != len(parts):
        raise ValueError(f"{len(estimates)} estimates of {len(parts)} parts: each part has one estimate")

    def estimate(x: Tensor, t: int) -> Noise:
        noises = _evaluate(tuple(estimates), x, t)
        return Noise(reduce(torch.add, [f(noise.eps) for f, noise in zip(parts, noises, strict=True)]), noises[0].frac)

    return estimate


def hybrid(a: Estimate, b: Estimate, low: Part, high: Part) -> Estimate:
    """A hybrid image (Oliva et al. 2006; Geng et al. 2024, "Factorized Diffusion"): `a` from afar, `b` from near.

    eps = low(eps_a) + high(eps_b). The filters see the noise only; the variance is a's.
    """
    return factorised((a, b), (low, high))
