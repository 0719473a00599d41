"""The interface of a judge: how well a picture matches a prompt.

A judge classifies a 64-pixel picture three ways: the name of what it shows, among all names pocket knows; the style;
and the place. `Vocabulary.parse` splits a prompt into the same three, and its score is the sum of the log-probabilities
of the parts it specifies.

Two judges of different architectures (networks.py) keep one's quirks from passing for a picture's merits. Both learned
only from drawings, never from a generated picture. shipped.py loads them, scores.py and search.py use them; train.py
trains them on the examples of examples.py, and accuracy.py tests them on icons by a hand that neither they nor pocket
trained on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .vocabulary import Vocabulary


class Output(NamedTuple):
    """A network's output for N images: features (N, F); logits of the names (N, G), styles (N, S) and places (N, P)."""

    features: Tensor
    names: Tensor
    style: Tensor
    place: Tensor


class Judge(nn.Module, ABC):
    """A network whose forward maps the output of `prepare` to an `Output`.

    vocabulary: what its logits stand for, in this order. width: the number of channels, by which its size is set.
    """

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__()
        self.vocabulary, self.width = vocabulary, width

    @staticmethod
    @abstractmethod
    def prepare(images: Tensor) -> Tensor:
        """Returns the network's input for images (N, 3, 64, 64) in -1 … 1."""

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Output:
        """Returns the mean output for images, (N, 3, 64, 64) in -1 … 1, and their mirror images.

        Raises ValueError for another shape.
        """
        if images.ndim != 4 or images.shape[1:] != (3, 64, 64):
            raise ValueError(f"images of shape {tuple(images.shape)}: a judge takes (N, 3, 64, 64)")
        self.eval()
        sides = []
        for side in (images, images.flip(-1)):
            some = [self(self.prepare(part)) for part in side.float().clamp(-1, 1).split(256)]
            sides.append([torch.cat(parts) for parts in zip(*some, strict=True)])
        return Output(*((one + other) / 2 for one, other in zip(*sides, strict=True)))

    @torch.inference_mode()
    def scores(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Returns how well each image, (N, 3, 64, 64) in -1 … 1, matches each prompt, (N, P): the summed
        log-probabilities of its parts; 0 is best.

        A pair of names scores the mean of both. Raises ValueError for a prompt with an unknown name.
        """
        known, output = self.vocabulary, self.predict(images)
        name, style, place = (logits.log_softmax(-1) for logits in output[1:])
        columns = []
        for prompt in prompts:
            reading = known.parse(prompt)
            score = torch.zeros(len(images))
            for each in reading.names:
                score = score + name[:, known.number(each)] / len(reading.names)
            if reading.style:
                score = score + style[:, known.styles.index(reading.style)]
            if reading.place:
                score = score + place[:, known.places.index(reading.place)]
            columns.append(score)
        return torch.stack(columns, dim=1)


class Judges(NamedTuple):
    """The judge whose numbers count, and the one that checks it."""

    first: Judge
    second: Judge
