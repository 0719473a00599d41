"""An image-text scorer, which judges what pocket draws: how well does a picture answer a prompt?

A small convolutional network reads three things off a 64-pixel picture: the name of what it shows, as a vector in the
space of MiniLM's sentence vectors, compared by the cosine as in CLIP (Radford et al. 2021); the style; and the place. A
prompt is taken apart into the same three (`parse`), and its score is the sum of the log-probabilities of what it says.
What it does not say is not scored.

The scorer learns from real pictures only, never from generated ones: those that pocket learns from, and the icons of
three packages in all the styles. The icons of a fourth, `icons.HELD_OUT`, by other hands, show how far to trust it.

scorer_pictures.py holds the pictures, train_scorer.py the training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models import minilm
from . import data, scenes, styles

STYLES, PLACES = [*styles.FILTERS], ["", *data.GROUNDS]
SCENES = (  # what the scenes are called
    ("a snowy mountain village",), ("people around a campfire",), ("the amalfi coast",), ("waterfalls",),
    ("a hipster barista",), ("a man wearing a hat",), ("an android dreaming of electric sheep",),
    ("Dr.Jones holding the holy grail", "a man holding the holy grail"), ("a mobius strip",),
    ("a tower", "a bell tower"), ("a city",), ("a landscape",),
)  # fmt: skip


class Reading(NamedTuple):
    """What a prompt says: the style word, the phrase or the two names of a pair, the place; "" or () if it does not."""

    style: str
    phrases: tuple[str, ...]
    place: str


@cache
def names() -> tuple[tuple[str, ...], ...]:
    """All names that a picture can have, each followed by its synonyms: the nouns of `data`, then the scenes."""
    said = {noun: data.SYNONYMS.get(noun.split(" ", 1)[-1], noun) for noun in data.nouns()}
    return (*(tuple(dict.fromkeys(pair)) for pair in said.items()), *SCENES)


@cache
def numbers() -> dict[str, int]:
    """The number of each name in `names`; synonyms share theirs."""
    return {phrase: number for number, phrases in enumerate(names()) for phrase in phrases}


def parse(prompt: str) -> Reading:
    """Take a prompt apart: "a photo of a cat on the grass" has the style "a photo of" and the place "on the grass"."""
    if prompt == data.HIGH_QUALITY:
        return Reading(scenes.PHOTO, (), "")
    style = next((style for style in STYLES if style and prompt.startswith(style + " ")), "")
    place = next((place for place in PLACES if place and prompt.endswith(" " + place)), "")
    phrase = prompt.removeprefix(style).removesuffix(place).strip()
    for joint in (" and ", " next to "):
        halves = tuple(phrase.split(joint))
        if len(halves) == 2 and set(halves) <= set(numbers()):
            return Reading(style, halves, place)
    return Reading(style, (phrase,) if phrase else (), place)


def sentences_of(phrases: Sequence[str]) -> Tensor:
    """MiniLM's sentence vectors of unit length, (N, 384)."""
    return F.normalize(minilm.encode(list(phrases))[0][:, 0], dim=-1)


class Seen(NamedTuple):
    """What the network makes of N images: features (N, 256), sentence (N, 384) of unit length, logits of the styles
    (N, 5) and of the places (N, 6)."""

    features: Tensor
    sentence: Tensor
    style: Tensor
    place: Tensor


class Down(nn.Module):
    """A residual block of two 3 x 3 convolutions at half the resolution (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.skip = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


class Scorer(nn.Module):
    """See the module. `sentences`: MiniLM's vectors of `names()`, (G, 384), less their mean and of unit length."""

    def __init__(self, count: int, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(*(Down(width << k, width << (k + 1)) for k in range(3)))
        self.sentence = nn.Linear(8 * width, minilm.WIDTH)
        self.style = nn.Linear(8 * width, len(STYLES))
        self.place = nn.Linear(8 * width, len(PLACES))
        self.scale = nn.Parameter(torch.tensor(math.log(16.0)))  # log of CLIP's inverse temperature
        self.register_buffer("centre", torch.zeros(minilm.WIDTH))
        self.register_buffer("sentences", torch.zeros(count, minilm.WIDTH))
        self.sentences: Tensor
        self.centre: Tensor
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Seen:
        x = self.blocks(self.stem(images.contiguous(memory_format=torch.channels_last))).mean((2, 3))
        with torch.autocast(x.device.type, enabled=False):  # what is read off decides between near neighbours
            features = x.float()
            kept = F.dropout(features, 0.2, self.training)
            sentence = F.normalize(self.sentence(kept), dim=-1)
            return Seen(features, sentence, self.style(kept), self.place(kept))

    @torch.inference_mode()
    def see(self, images: Tensor) -> Seen:
        """What it makes of images, (N, 3, 64, 64) in -1 … 1. Raises ValueError where they have another shape."""
        if images.ndim != 4 or images.shape[1:] != (3, 64, 64):
            raise ValueError(f"images of shape {tuple(images.shape)}: the scorer takes (N, 3, 64, 64)")
        some = [self.eval()(part) for part in images.float().clamp(-1, 1).split(256)]
        return Seen(*(torch.cat(parts) for parts in zip(*some, strict=True)))

    @torch.inference_mode()
    def scores(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """How well each image answers each prompt, (N, P): the log-probabilities of what the prompt says, summed.

        log p(phrase) is normalised over all the names, and the phrase itself where it is none of them; of a pair it is
        the mean of both. The more negative, the worse; 0 is best.
        """
        seen = self.see(images)
        logits = self._logits(seen)
        total = logits.logsumexp(-1)
        style, place = seen.style.log_softmax(-1), seen.place.log_softmax(-1)
        columns = []
        for prompt in prompts:
            reading = parse(prompt)
            score = torch.zeros(len(images))
            for phrase in reading.phrases:
                own = self._logit(phrase, seen, logits)
                known = total if phrase in numbers() else torch.logaddexp(total, own)
                score = score + (own - known) / len(reading.phrases)
            if reading.style:
                score = score + style[:, STYLES.index(reading.style)]
            if reading.place:
                score = score + place[:, PLACES.index(reading.place)]
            columns.append(score)
        return torch.stack(columns, dim=1)

    @torch.inference_mode()
    def retrieval(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """The rank, (N,), among all names of what each image should show, given one prompt an image; 1 is best.

        A pair is ranked 1 where its two names come first and second. A phrase that is no name is ranked among the
        names and itself. Raises ValueError for a prompt that names nothing.
        """
        seen = self.see(images)
        logits = self._logits(seen)
        ranks = []
        for row, prompt in enumerate(prompts):
            phrases = parse(prompt).phrases
            if not phrases:
                raise ValueError(f"{prompt!r} names nothing that could be ranked")
            better = [int((logits[row] > self._logit(phrase, seen, logits)[row]).sum()) for phrase in phrases]
            ranks.append(max(better) + 2 - len(phrases))
        return torch.tensor(ranks)

    def _logits(self, seen: Seen) -> Tensor:
        """Of all the names, (N, G): CLIP's scaled cosines."""
        return self.scale.exp() * seen.sentence @ self.sentences.T

    def _logit(self, phrase: str, seen: Seen, logits: Tensor) -> Tensor:
        """Of one phrase, (N,): a name's own, or the scaled cosine with MiniLM's vector of any other words."""
        if (number := numbers().get(phrase)) is not None:
            return logits[:, number]
        vector = F.normalize(sentences_of([phrase])[0] - self.centre, dim=-1)
        return self.scale.exp() * seen.sentence @ vector


def recall(ranks: Tensor, k: int) -> float:
    """R@k: the share of the ranks that are k or better."""
    return (ranks <= k).float().mean().item()
