"""The two judges: one learns its features from pixels, the other uses fixed ones (gradients and colours)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from skimage.feature import hog
from torch import Tensor, nn

from .scorer import PLACES, STYLES, Judge, Seen, names


class Heads(nn.Module):
    """Linear heads for name, style and place on features of so many channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.names = nn.Linear(width, len(names()))
        self.style = nn.Linear(width, len(STYLES))
        self.place = nn.Linear(width, len(PLACES))

    def forward(self, features: Tensor) -> Seen:
        kept = F.dropout(features, 0.2, self.training)
        return Seen(features, self.names(kept), self.style(kept), self.place(kept))


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution with group normalisation over groups of 16 channels."""
    conv = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(max(1, outputs // 16), outputs))


class Down(nn.Module):
    """A residual block of two 3 x 3 convolutions that halves the resolution (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(inputs, outputs, 3, stride=2), nn.ReLU(), _conv(outputs, outputs, 3))
        self.skip = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


class Residual(Judge):
    """A small residual network on pixels. At width 24 it has 0.7 M parameters."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, width, 5, stride=2), nn.ReLU())
        self.blocks = nn.Sequential(*(Down(width << k, width << (k + 1)) for k in range(3)))
        self.heads = Heads(8 * width)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @staticmethod
    def prepare(images: Tensor) -> Tensor:
        return images

    def forward(self, images: Tensor) -> Seen:
        x = self.blocks(self.stem(images.contiguous(memory_format=torch.channels_last))).mean((2, 3))
        return self.heads(x.float())


class Gradients(Judge):
    """A perceptron on histograms of oriented gradients (Dalal and Triggs 2005) and a coarse grid of colours.

    scikit-image computes the histograms, at two scales; no feature is learned from pixels.
    """

    COLOURS = 16  # cells a side of the grid of mean colours
    WIDTH = 7 * 7 * 36 + 3 * 3 * 36 + 3 * COLOURS**2  # number of features

    def __init__(self, width: int = 768) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Dropout(0.1),
            nn.Linear(self.WIDTH, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(0.3),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.GELU(),
        )
        self.heads = Heads(width)

    @staticmethod
    def prepare(images: Tensor) -> Tensor:
        """Returns the features of each image, (N, WIDTH)."""
        grids = [F.avg_pool2d(images, side) for side in (1, 2)]
        colours = F.adaptive_avg_pool2d(images, Gradients.COLOURS).flatten(1)
        edges = [
            np.stack([hog(image, pixels_per_cell=(8, 8), cells_per_block=(2, 2), channel_axis=0) for image in grid])
            for grid in (part.numpy() for part in grids)
        ]
        # Blocks of 36 have unit length; times 5, they are about as large as the colours.
        return torch.cat([*(5 * torch.from_numpy(part).float() for part in edges), colours], dim=1)

    def forward(self, values: Tensor) -> Seen:
        return self.heads(self.body(values).float())
