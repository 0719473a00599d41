"""The networks of the two judges: one uses fixed features (gradients and colours), one learns them from pixels."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from skimage.feature import hog
from torch import Tensor, nn

from .judge import Judge, Output
from .vocabulary import Vocabulary


class Heads(nn.Module):
    """Linear heads for name, style and place on features (N, width)."""

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__()
        self.names = nn.Linear(width, len(vocabulary.names))
        self.style = nn.Linear(width, len(vocabulary.styles))
        self.place = nn.Linear(width, len(vocabulary.places))

    def forward(self, features: Tensor) -> Output:
        kept = F.dropout(features, 0.2, self.training)
        return Output(features, self.names(kept), self.style(kept), self.place(kept))


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

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__(vocabulary, width)
        self.stem = nn.Sequential(_conv(3, width, 5, stride=2), nn.ReLU())
        self.blocks = nn.Sequential(*(Down(width << k, width << (k + 1)) for k in range(3)))
        self.heads = Heads(vocabulary, 8 * width)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @staticmethod
    def prepare(images: Tensor) -> Tensor:
        return images

    def forward(self, images: Tensor) -> Output:
        x = self.blocks(self.stem(images.contiguous(memory_format=torch.channels_last))).mean((2, 3))
        return self.heads(x.float())


class Gradients(Judge):
    """A perceptron on histograms of oriented gradients (Dalal and Triggs 2005) and a coarse grid of colours.

    scikit-image computes the histograms, at two scales; no feature is learned from pixels. At width 512 it has 1.8 M
    parameters.
    """

    COLOURS = 16  # cells a side of the grid of mean colours
    FEATURES = 7 * 7 * 36 + 3 * 3 * 36 + 3 * COLOURS**2  # blocks of four histograms of nine bins, and colours

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__(vocabulary, width)
        self.body = nn.Sequential(
            nn.Dropout(0.1),
            nn.Linear(self.FEATURES, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(0.3),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.GELU(),
        )
        self.heads = Heads(vocabulary, width)

    @staticmethod
    def prepare(images: Tensor) -> Tensor:
        """Returns the features of each image, (N, FEATURES)."""
        grids = [F.avg_pool2d(images, side) for side in (1, 2)]
        colours = F.adaptive_avg_pool2d(images, Gradients.COLOURS).flatten(1)
        edges = [
            np.stack([hog(image, pixels_per_cell=(8, 8), cells_per_block=(2, 2), channel_axis=0) for image in grid])
            for grid in (part.numpy() for part in grids)
        ]
        # Blocks of 36 have unit length; times 5, they are about as large as the colours.
        return torch.cat([*(5 * torch.from_numpy(part).float() for part in edges), colours], dim=1)

    def forward(self, values: Tensor) -> Output:
        return self.heads(self.body(values).float())
