"""Linear filters of images (3, H, W), and decompositions: tuples of filters that add up to the identity."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMAS = [k / 10 for k in range(3, 61)]  # candidates of `best_blur`, in pixels


def gaussian_blur(x: Tensor, kernel: int, sigma: float) -> Tensor:
    """Blurs (3, H, W) with a Gaussian of `sigma` pixels, truncated to `kernel` pixels (odd), with reflected borders.

    Equals torchvision's gaussian_blur, which the course uses. Raises ValueError if the kernel is even, or too large to
    reflect the border (kernel // 2 must be less than H and W).
    """
    reach = kernel // 2
    if kernel % 2 == 0 or reach >= min(x.shape[-2:]):
        raise ValueError(f"kernel {kernel}: must be odd and less than twice the image's {min(x.shape[-2:])} pixels")
    offsets = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (weights / weights.sum()).expand(x.shape[0], 1, 1, kernel)
    padded = F.pad(x[None], (reach, reach, reach, reach), mode="reflect")
    across = F.conv2d(padded, weights, groups=x.shape[0])
    return F.conv2d(across, weights.transpose(-1, -2), groups=x.shape[0])[0]


def scale_of(x: Tensor) -> int:
    """Returns how many times as wide as 64 pixels an image is; the filters below are given for 64 pixels."""
    return max(1, x.shape[-1] // 64)


def _odd(size: int, scale: int) -> int:
    """Returns a kernel's size at this scale; an odd one stays odd, to have a middle."""
    return size * scale | size % 2


def low_pass(x: Tensor, kernel: int = 33, sigma: float = 2.0) -> Tensor:
    """Keeps the low frequencies, visible from afar; by default the course's kernel of 33 and sigma of 2 pixels.

    Both are those of an image of 64 pixels; in one of 256 they are four times as large (133 and 8).
    """
    scale = scale_of(x)
    return gaussian_blur(x, _odd(kernel, scale), sigma * scale)


def high_pass(x: Tensor, kernel: int = 33, sigma: float = 2.0) -> Tensor:
    """Keeps the high frequencies: x - low_pass(x)."""
    return x - low_pass(x, kernel, sigma)


def grey(x: Tensor) -> Tensor:
    """Replaces each channel by the mean of the three."""
    return x.mean(-3, keepdim=True).expand_as(x)


def colour(x: Tensor) -> Tensor:
    """Keeps the deviation of each channel from their mean: x - grey(x)."""
    return x - grey(x)


def motion_blur(x: Tensor, length: int = 7) -> Tensor:
    """Blurs (3, H, W) along the main diagonal over `length` pixels (odd), with reflected borders.

    The length is that in an image of 64 pixels; it grows with the image. Raises ValueError if it is even, or too large
    to reflect the border.
    """
    length = _odd(length, scale_of(x))
    reach = length // 2
    if length % 2 == 0 or reach >= min(x.shape[-2:]):
        raise ValueError(f"length {length}: must be odd and less than twice the image's {min(x.shape[-2:])} pixels")
    padded = F.pad(x[None], (reach, reach, reach, reach), mode="reflect")[0]
    height, width = x.shape[-2:]
    return torch.stack([padded[..., k : k + height, k : k + width] for k in range(length)]).mean(0)


def motion_rest(x: Tensor, length: int = 7) -> Tensor:
    """Keeps what the blur removes: x - motion_blur(x)."""
    return x - motion_blur(x, length)


def kernel_for(sigma: float) -> int:
    """Returns the odd kernel size that covers three sigmas on each side."""
    return 2 * round(3 * sigma) + 1


def best_blur(x_t: Tensor, x0: Tensor) -> tuple[Tensor, float]:
    """Returns the Gaussian blur of x_t with the smallest mean squared error to x_0, and its sigma in pixels."""
    blurs = {sigma: gaussian_blur(x_t, kernel_for(sigma), sigma) for sigma in SIGMAS}
    sigma = min(SIGMAS, key=lambda sigma: (blurs[sigma].clamp(-1, 1) - x0).square().mean())
    return blurs[sigma], sigma
