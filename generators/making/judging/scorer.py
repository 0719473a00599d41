"""The interface of a judge: how well a picture matches a prompt.

A judge classifies a 64-pixel picture three ways: the name of what it shows, among all names pocket knows; the style;
and the place. `parse` splits a prompt into the same three, and its score is the sum of the log-probabilities of the
parts it specifies.

Two judges of different architectures (judges.py) keep one's quirks from passing for a picture's merits. Both learn only
from drawings, never from a generated picture. The icons of `icons.HELD_OUT`, a hand that neither they nor pocket
trained on, measure their accuracy.

scorer_pictures.py contains the pictures, train_scorer.py the training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..drawings import data, scenes, sights
from ..drawings.styles import FILTERS, PHOTO

STYLES, PLACES = [*FILTERS], ["", *data.GROUNDS]
SCENES: dict[Callable, tuple[str, ...]] = {  # the names of each scene
    scenes.old_man: ("an old man", "an elderly man"),
    scenes.campfire: ("people around a campfire",),
    scenes.barista: ("a hipster barista",),
    scenes.dogs: ("a dog",),
    scenes.skulls: ("a skull",),
    scenes.waterfalls: ("waterfalls",),
    scenes.amalfi: ("the amalfi coast",),
    scenes.snowy_village: ("a snowy mountain village",),
    scenes.young_man: ("a man", "a young man"),
    scenes.hatted_man: ("a man wearing a hat",),
    scenes.rocket_ship: ("a rocket ship",),
    scenes.pencil: ("a pencil",),
    scenes.electric_sheep: ("an android dreaming of electric sheep",),
    scenes.holy_grail: ("Dr.Jones holding the holy grail", "a man holding the holy grail"),
    scenes.mobius: ("a mobius strip",),
    sights.tower: ("a tower", "a bell tower"),
    sights.hall: ("a building",),
    sights.pagoda: ("a pagoda", "a temple"),
    sights.skyline: ("a city", "a skyline"),
    sights.landscape: ("a landscape",),
    sights.cottage: ("a house",),
    sights.boat: ("a sailboat",),
}


class Reading(NamedTuple):
    """A parsed prompt: the style word, the phrase or the two names of a pair, the place; "" or () if unspecified."""

    style: str
    phrases: tuple[str, ...]
    place: str


@cache
def names() -> tuple[tuple[str, ...], ...]:
    """Returns all names of pictures, each followed by its synonyms: the nouns of `data`, then the scenes.

    A scene of something that a noun also names, such as a dog, has the noun's name.
    """
    said = {noun: (noun, data.SYNONYMS.get(noun.split(" ", 1)[-1], noun)) for noun in data.NOUNS}
    known = {phrase for pair in said.values() for phrase in pair}
    own = (phrases for phrases in SCENES.values() if not known.intersection(phrases))
    return (*(tuple(dict.fromkeys(pair)) for pair in said.values()), *own)


@cache
def numbers() -> dict[str, int]:
    """Returns the number of each name in `names`; synonyms share it."""
    return {phrase: number for number, phrases in enumerate(names()) for phrase in phrases}


def parse(prompt: str) -> Reading:
    """Parses a prompt: "a photo of a cat on the grass" has the style "a photo of" and the place "on the grass".

    A position in the picture ("on the left") and a meadow are ignored.
    """
    if prompt == data.HIGH_QUALITY:
        return Reading(PHOTO, (), "")
    style = next((style for style in STYLES if style and prompt.startswith(style + " ")), "")
    place = next((place for place in PLACES if place and prompt.endswith(" " + place)), "")
    phrase = prompt.removeprefix(style).removesuffix(place).removesuffix(data.MEADOW).strip()
    for joint in (" and ", " next to "):
        halves = tuple(phrase.split(joint))
        if len(halves) == 2 and set(halves) <= set(numbers()):
            return Reading(style, halves, place)
    return Reading(style, (phrase,) if phrase else (), place)


class Seen(NamedTuple):
    """A network's output for N images: features (N, F); logits of the names (N, G), styles (N, 5) and places (N, 6)."""

    features: Tensor
    names: Tensor
    style: Tensor
    place: Tensor


class Judge(nn.Module, ABC):
    """A network whose forward maps the output of `prepare` to a `Seen`."""

    @staticmethod
    @abstractmethod
    def prepare(images: Tensor) -> Tensor:
        """Returns the network's input for images (N, 3, 64, 64) in -1 … 1."""

    @torch.inference_mode()
    def see(self, images: Tensor) -> Seen:
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
        return Seen(*((one + other) / 2 for one, other in zip(*sides, strict=True)))

    @torch.inference_mode()
    def scores(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Returns how well each image matches each prompt, (N, P): the summed log-probabilities of its parts; 0 is
        best.

        A pair of names scores the mean of both. Raises ValueError for a prompt with an unknown name.
        """
        seen = self.see(images)
        name, style, place = (logits.log_softmax(-1) for logits in seen[1:])
        columns = []
        for prompt in prompts:
            reading = parse(prompt)
            score = torch.zeros(len(images))
            for phrase in reading.phrases:
                score = score + name[:, number(phrase)] / len(reading.phrases)
            if reading.style:
                score = score + style[:, STYLES.index(reading.style)]
            if reading.place:
                score = score + place[:, PLACES.index(reading.place)]
            columns.append(score)
        return torch.stack(columns, dim=1)


class Judges(NamedTuple):
    """The judge whose numbers count, and the one that checks it."""

    first: Judge
    second: Judge


def number(phrase: str) -> int:
    """Returns the number of a name. Raises ValueError for an unknown one."""
    if phrase not in numbers():
        raise ValueError(f"{phrase!r} is not among the {len(names())} names that a judge knows")
    return numbers()[phrase]


def retrieval(logits: Tensor, prompts: Sequence[str]) -> Tensor:
    """Returns the rank, (N,), of each image's prompt among all names; 1 is best.

    logits: of the names, (N, G); prompts: one per image. A pair has rank 1 if its two names come first and second.
    Raises ValueError for a prompt without a name or with an unknown one.
    """
    ranks = []
    for row, prompt in zip(logits, prompts, strict=True):
        phrases = parse(prompt).phrases
        if not phrases:
            raise ValueError(f"{prompt!r} has no name to rank")
        better = [int((row > row[number(phrase)]).sum()) for phrase in phrases]
        ranks.append(max(better) + 2 - len(phrases))
    return torch.tensor(ranks)


def recall(ranks: Tensor, k: int) -> float:
    """R@k: the share of ranks up to k."""
    return (ranks <= k).float().mean().item()
