"""Fidelity to the original (PSNR and SSIM by scikit-image), and the contrast across a mask's border."""

import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor


def fidelity(x: Tensor, x0: Tensor) -> dict[str, float]:
    """Returns PSNR in dB and SSIM of x against x0, both (3, H, W) in -1 … 1; x is clipped to that range first."""
    image, original = (((y.clamp(-1, 1) + 1) / 2).double().cpu().numpy() for y in (x, x0))
    return {
        "psnr": float(peak_signal_noise_ratio(original, image, data_range=1.0)),
        "ssim": float(structural_similarity(original, image, data_range=1.0, channel_axis=0)),
    }


def border_step(image: Tensor, mask: Tensor) -> float:
    """Returns the mean absolute difference between adjacent pixels on opposite sides of the mask's border.

    image: (3, H, W) in -1 … 1; mask: (1, H, W), 0 or 1.
    """
    steps = [image.diff(dim=axis).abs()[mask.diff(dim=axis).bool().expand(len(image), -1, -1)] for axis in (-2, -1)]
    return torch.cat(steps).mean().item()
