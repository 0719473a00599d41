"""Labelled drawings at 64 pixels: what the judges learn from and are tested on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...models.pocket import words
from ..drawings import data, icons, scenes, sights
from ..drawings.names import NOUNS, synonym
from ..drawings.styles import FILTERS, PHOTO
from ..drawings.vectors import chance, pick
from .vocabulary import Vocabulary

TESTING = 4  # the random sequence of the test pictures
VARIANTS = 4  # test variants of each scene in each of its styles
SCENE_NAMES: dict[Callable, tuple[str, ...]] = {
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


@cache
def vocabulary() -> Vocabulary:
    """Returns what the drawings show: all nouns, then the scenes.

    A scene of something that a noun also names, such as a dog, has the noun's name.
    """
    nouns = [(noun, other) if (other := synonym(noun)) else (noun,) for noun in NOUNS]
    known = {name for synonyms in nouns for name in synonyms}
    return Vocabulary(
        names=(*nouns, *(names for names in SCENE_NAMES.values() if not known.intersection(names))),
        styles=tuple(FILTERS),
        places=("", *data.GROUNDS),
        ignored=(data.MEADOW, *data.PLACES),
        nameless={data.HIGH_QUALITY: PHOTO},
    )


class LabelledPictures(NamedTuple):
    """Pictures, rgb (N, 3, 64, 64) uint8, and by their numbers in `vocabulary`: names (N, 2), equal unless a pair;
    style and place (N,)."""

    rgb: Tensor
    names: Tensor
    style: Tensor
    place: Tensor

    def at(self, index: Tensor | list[int]) -> LabelledPictures:
        return LabelledPictures(*(column[index] for column in self))


def training_drawing(rng: np.random.Generator) -> data.Drawing:
    """Returns a random drawing: names and styles equally likely, by any hand except `icons.HELD_OUT`."""
    names, style = pick(rng, *vocabulary().names), pick(rng, *vocabulary().styles)
    if scene := _scene_of(names, rng):
        drawing = _in_style(scene, style, rng)
    else:
        noun = names[0]
        match rng.choice(["alone", "placed", "grounded", "paired"], p=[0.68, 0.07, 0.21, 0.04]):
            case "alone":
                drawing = data.alone(noun, style, rng)
            case "placed":
                drawing = data.placed(noun, style, rng)
            case "grounded":
                drawing = data.grounded(noun, style, rng)
            case _:
                drawing = data.paired(noun, pick(rng, *NOUNS), rng)
    return replace(drawing, tint=data.tint(rng))


def drawing_of(names: Sequence[str], style: str, rng: np.random.Generator) -> data.Drawing:
    """Returns a drawing of a name of the vocabulary, given with its synonyms, as pocket learns it: its scene or the
    thing alone; either if it has both."""
    scene = _scene_of(names, rng)
    drawing = _in_style(scene, style, rng) if scene else data.alone(names[0], style, rng)
    return replace(drawing, tint=data.tint(rng))


def _scene_of(names: Sequence[str], rng: np.random.Generator) -> Callable | None:
    """Returns the scene of a name, if it has one; half of the time none if it is a noun too."""
    scene = next((scene for scene, own in SCENE_NAMES.items() if set(own) & set(names)), None)
    return scene if names[0] not in NOUNS or (scene and chance(rng, 0.5)) else None


def _in_style(scene: Callable, style: str, rng: np.random.Generator) -> data.Drawing:
    body, noun = scene(rng)
    return data.Drawing(body, style, data.captions(noun, style))


def labelled(drawings: Sequence[data.Drawing]) -> LabelledPictures:
    """Returns the drawings as 2 x 2 averages of 128 pixels, with their labels."""
    rgb = [drawing.render(128).reshape(64, 2, 64, 2, 3).mean((1, 3)).round().astype(np.uint8) for drawing in drawings]
    labels = torch.tensor([_label(drawing) for drawing in drawings])
    pixels = torch.from_numpy(np.stack(rgb)).permute(0, 3, 1, 2).contiguous()
    return LabelledPictures(pixels, labels[:, :2], labels[:, 2], labels[:, 3])


def _label(drawing: data.Drawing) -> tuple[int, int, int, int]:
    """Returns a drawing's labels: two names (equal unless a pair), style and place."""
    known, reading = vocabulary(), vocabulary().parse(drawing.captions[0])
    numbers = [known.number(name) for name in reading.names]
    return numbers[0], numbers[-1], known.styles.index(drawing.style), known.places.index(reading.place)


def test_sets() -> dict[str, LabelledPictures]:
    """Returns unseen drawings: "icons" by the held-out hand in all styles; and by the known hands, with other random
    numbers, "scenes", things in "places", and "pairs"."""
    nouns, styles = list(NOUNS), vocabulary().styles
    sets: dict[str, list[Callable[[np.random.Generator], data.Drawing]]] = {
        "icons": [
            partial(data.held_out, noun, style)
            for noun in nouns
            for style in styles
            if icons.has(NOUNS[noun], icons.HELD_OUT)
        ],
        "scenes": [
            partial(_in_style, scene, style)
            for scene, (_, drawn_in) in scenes.SCENES.items()
            for style in dict.fromkeys(drawn_in)
            for _ in range(VARIANTS)
        ],
        "places": [partial(data.grounded, noun, styles[k % len(styles)]) for k, noun in enumerate(nouns)],
        "pairs": [partial(data.paired, noun, nouns[(k + 29) % len(nouns)]) for k, noun in enumerate(nouns[::2])],
    }
    return {
        name: labelled([draw(np.random.default_rng([TESTING, k, which])) for which, draw in enumerate(draws)])
        for k, (name, draws) in enumerate(sets.items())
    }


def write_words() -> None:
    """Writes the vocabulary beside pocket, which tells by it what it has learned."""
    text = json.dumps(asdict(vocabulary()), indent=1, ensure_ascii=False)
    words.FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_words()
