"""Filters, and decompositions of an image by them: tuples of linear filters whose parts add up to the image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMAS = [k / 10 for k in range(3, 61)]  # what `best_blur` tries, in pixels


def gaussian_blur(x: Tensor, kernel: int, sigma: float) -> Tensor:
    """Blur (3, H, W) with a Gaussian of `sigma` pixels, cut off at `kernel` pixels (odd), the border mirrored.

    The kernel and the border are those of torchvision's gaussian_blur, which the course uses. Raises ValueError for an
    even kernel, or one that the mirrored border cannot serve (kernel // 2 must be less than H and W).
    """
    reach = kernel // 2
    if kernel % 2 == 0 or reach >= min(x.shape[-2:]):
        raise ValueError(f"kernel {kernel}: odd, and less than twice the image's {min(x.shape[-2:])} pixels")
    offsets = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (weights / weights.sum()).expand(x.shape[0], 1, 1, kernel)
    padded = F.pad(x[None], (reach, reach, reach, reach), mode="reflect")
    across = F.conv2d(padded, weights, groups=x.shape[0])
    return F.conv2d(across, weights.transpose(-1, -2), groups=x.shape[0])[0]


def low_pass(x: Tensor, kernel: int = 33, sigma: float = 2.0) -> Tensor:
    """What remains of an image seen from afar; the course's kernel of 33 and sigma of 2 pixels."""
    return gaussian_blur(x, kernel, sigma)


def high_pass(x: Tensor, kernel: int = 33, sigma: float = 2.0) -> Tensor:
    """What `low_pass` takes away."""
    return x - gaussian_blur(x, kernel, sigma)


def three_bands(fine: float = 1.0, coarse: float = 2.0, kernel: int = 25) -> tuple[Callable[[Tensor], Tensor], ...]:
    """The low, middle and high frequencies, cut by two Gaussians, one after the other.

    low = G_coarse G_fine x, middle = G_fine x - low, high = x - G_fine x (Geng et al. 2024, "Factorized Diffusion", and
    its code's sigmas for 64 pixels).
    """
    smooth, smoother = partial(gaussian_blur, kernel=kernel, sigma=fine), partial(low_pass, kernel=kernel, sigma=coarse)
    return (
        lambda x: smoother(smooth(x)),
        lambda x: smooth(x) - smoother(smooth(x)),
        lambda x: x - smooth(x),
    )


def grey(x: Tensor) -> Tensor:
    """The mean of the three colours, in each of them."""
    return x.mean(-3, keepdim=True).expand_as(x)


def colour(x: Tensor) -> Tensor:
    """What `grey` takes away."""
    return x - grey(x)


def motion_blur(x: Tensor, length: int = 7) -> Tensor:
    """Blur (3, H, W) along the diagonal, down to the right, over `length` pixels (odd); the border is mirrored."""
    reach = length // 2
    if length % 2 == 0 or reach >= min(x.shape[-2:]):
        raise ValueError(f"length {length}: odd, and less than twice the image's {min(x.shape[-2:])} pixels")
    padded = F.pad(x[None], (reach, reach, reach, reach), mode="reflect")[0]
    height, width = x.shape[-2:]
    return torch.stack([padded[..., k : k + height, k : k + width] for k in range(length)]).mean(0)


def motion_rest(x: Tensor, length: int = 7) -> Tensor:
    """What `motion_blur` takes away."""
    return x - motion_blur(x, length)


def kernel_for(sigma: float) -> int:
    """The odd kernel that holds three sigmas on each side."""
    return 2 * round(3 * sigma) + 1


def best_blur(x_t: Tensor, x0: Tensor) -> tuple[Tensor, float]:
    """The Gaussian blur of x_t that comes nearest to x_0, in mean square and so in PSNR, and its sigma in pixels."""
    blurs = {sigma: gaussian_blur(x_t, kernel_for(sigma), sigma) for sigma in SIGMAS}
    sigma = min(SIGMAS, key=lambda sigma: (blurs[sigma].clamp(-1, 1) - x0).square().mean())
    return blurs[sigma], sigma
