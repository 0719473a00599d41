"""What a judge can recognise, and how it reads prompts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple


class Reading(NamedTuple):
    """A parsed prompt: the style word, the name or the two names of a pair, the place; "" or () if unspecified."""

    style: str
    names: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class Vocabulary:
    """The names, styles and places between which a judge distinguishes, and what else prompts may contain.

    names: of pictures, each followed by its synonyms. styles and places: the words of a prompt, "" for none. ignored:
    endings that a judge does not look for ("in a meadow", "on the left"). nameless: the style of each prompt that names
    nothing.
    """

    names: tuple[tuple[str, ...], ...]
    styles: tuple[str, ...]
    places: tuple[str, ...]
    ignored: tuple[str, ...]
    nameless: dict[str, str]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each name in `names`; synonyms share it."""
        return {name: number for number, synonyms in enumerate(self.names) for name in synonyms}

    def number(self, name: str) -> int:
        """Returns the number of a name. Raises ValueError for an unknown one."""
        if name not in self.numbers:
            raise ValueError(f"{name!r} is not among the {len(self.names)} names that a judge knows")
        return self.numbers[name]

    def parse(self, prompt: str) -> Reading:
        """Parses a prompt: "a photo of a cat on the grass" has the style "a photo of" and the place "on the grass".

        What is left after style, place and ignored endings counts as one name, known or not, unless it joins two known
        ones.
        """
        if prompt in self.nameless:
            return Reading(self.nameless[prompt], (), "")
        style = next((style for style in self.styles if style and prompt.startswith(style + " ")), "")
        place = next((place for place in self.places if place and prompt.endswith(" " + place)), "")
        name = prompt.removeprefix(style).removesuffix(place).strip()
        for ending in self.ignored:
            name = name.removesuffix(" " + ending)
        for joint in (" and ", " next to "):
            pair = tuple(name.split(joint))
            if len(pair) == 2 and set(pair) <= self.numbers.keys():
                return Reading(style, pair, place)
        return Reading(style, (name,) if name else (), place)
