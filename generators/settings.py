"""What is yours: report/report.toml, read and checked. This module does not import torch.

Sections use `MINE`. A section depends on the values that it names, such as `MINE.stages.steps`, and not on the rest of
the file (see `running.definitions`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from .records import toml
from .records.texts import LONGEST_NAME, NAME, control_character, wrong_text

FILE = Path(__file__).parents[1] / "report" / "report.toml"
SIDE = 64  # pixels of stage 1's images
SAMPLES = 3  # of each anagram and hybrid
Value = TypeVar("Value")


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; write a text, or remove the line if the key may be absent")
    if found := control_character(text):
        raise ValueError(f"{found} in {text[:40]!r}; remove it")
    return text


def _prompt(text: str) -> str:
    if wrong := wrong_text(_text(text)):
        raise ValueError(wrong)
    return text


def _after_the(text: str) -> str:
    if not re.fullmatch(r"the \S.*", text):
        raise ValueError(f"{text!r} is no name after “the”; write one such as “the Campanile”")
    return _text(text)


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    for number, value in enumerate(values):
        if value in values[:number]:
            raise ValueError(f"{value!r} stands there twice; remove one")
    return values


def _pixels(ends: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= ends[0] <= ends[1] < SIDE:
        raise ValueError(f"{list(ends)} are not the first and the last of pixels 0 to {SIDE - 1}; correct them")
    return ends


def _file(name: str) -> str:
    if not name or Path(name).name != name or "\\" in name:
        raise ValueError(f"{name!r} is not the name of a file in report/writeup/inputs; write it without a folder")
    return _text(name)


def _described(text: str) -> str:
    if set(text) & set("{}"):
        raise ValueError(f"{text!r} has a brace; captions name fields so: remove it")
    return _text(text)


Text = Annotated[str, AfterValidator(_text)]
Prompt = Annotated[str, AfterValidator(_prompt)]
File = Annotated[str, AfterValidator(_file)]
Ends = Annotated[tuple[int, int], AfterValidator(_pixels)]
Several = Annotated[tuple[Value, ...], Field(min_length=1), AfterValidator(_distinct)]
FigureName = Annotated[str, Field(pattern=f"^{NAME}$", max_length=LONGEST_NAME)]
Address = Annotated[str, Field(pattern="^(https?://[^ ]+)?$")]


class Table(BaseModel):
    """A table of the file. Its keys have hyphens where the fields have underscores; there are no others."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )


class Author(Table):
    """A person, by given and family names, or a group, by `name`."""

    name: Text | None = None
    given_names: Text | None = None
    family_names: Text | None = None

    @model_validator(mode="after")
    def _named(self) -> Author:
        if bool(self.name) == bool(self.family_names) or (self.name and self.given_names):
            raise ValueError("an author has family-names and given-names, or else a name; correct the keys")
        return self


class Rectangle(Table):
    """The hole of an inpainting: its first and last row and column, 0 to 63."""

    rows: Ends
    columns: Ends

    @model_validator(mode="after")
    def _leaves_something(self) -> Rectangle:
        if self.rows == self.columns == (0, SIDE - 1):
            raise ValueError("the hole is the whole image; make it smaller")
        return self


class Image(Table):
    """An input image. called: with “the”. source: the address of the original. hole or mask: what 1.7.2 replaces."""

    file: File
    called: Annotated[str, AfterValidator(_after_the)]
    credit: Text
    source: Address = ""
    hole: Rectangle | None = None
    mask: File | None = None

    @model_validator(mode="after")
    def _one_hole(self) -> Image:
        if self.hole and self.mask:
            raise ValueError("it has a hole and a mask; remove one of them")
        return self


class Stages(Table):
    prompts: Several[Prompt]
    steps: Several[Annotated[int, Field(ge=1, le=1000)]]


class Edits(Table):
    """SDEdit strips. described: what the images are, for the caption."""

    images: Several[str]
    described: Annotated[str, AfterValidator(_described)]


class Prompted(Table):
    prompt: Prompt
    image: str


class PromptedPairs(Table):
    pairs: Several[Prompted]


class Large(Table):
    """The sample that is drawn at 256 pixels too: of the pair with this name."""

    name: str
    sample: Annotated[int, Field(ge=0, lt=SAMPLES)]


class Anagram(Table):
    name: FigureName
    upright: Prompt
    flipped: Prompt


class Anagrams(Table):
    large: Large
    pairs: Several[Anagram]

    @cached_property
    def enlarged(self) -> Anagram:
        return next(pair for pair in self.pairs if pair.name == self.large.name)


class Hybrid(Table):
    name: FigureName
    far: Prompt
    near: Prompt


class Hybrids(Table):
    large: Large
    pairs: Several[Hybrid]

    @cached_property
    def enlarged(self) -> Hybrid:
        return next(pair for pair in self.pairs if pair.name == self.large.name)


class Settings(Table):
    """The whole file. seed: of sample 0. images: by the names under which sections use them."""

    title: Text
    course: Text
    date: date
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    url: Address = ""
    repository: Address = ""
    authors: Several[Author]
    images: dict[Annotated[str, Field(pattern="^[A-Za-z0-9_-]+$")], Image]
    stages: Stages
    edits: Edits
    hand_drawn: Edits
    prompted: PromptedPairs
    anagrams: Anagrams
    hybrids: Hybrids

    @cached_property
    def files(self) -> Mapping[str, str]:
        """The files of the input images, by name, and of their masks, as `fox.mask`."""
        masks = {f"{name}.mask": image.mask for name, image in self.images.items() if image.mask}
        return {**{name: image.file for name, image in self.images.items()}, **masks}

    @cached_property
    def called(self) -> Mapping[str, str]:
        """What the input images are called, by name, without “the”."""
        return {name: image.called.removeprefix("the ") for name, image in self.images.items()}

    @cached_property
    def holes(self) -> Mapping[str, Rectangle | None]:
        """What 1.7.2 replaces, by the name of the image; None for an image's mask."""
        return {name: image.hole for name, image in self.images.items() if image.hole or image.mask}

    def value(self, name: str) -> Any:
        """Returns the value of a dotted name such as images.fox.called. Raises LookupError for another name."""
        found: Any = self.model_dump(by_alias=True)
        for number, key in enumerate(parts := name.split(".")):
            if not isinstance(found, dict) or key not in found:
                known = f"it has {', '.join(found)}" if isinstance(found, dict) else "it has no keys"
                raise LookupError(f"no {'.'.join(parts[: number + 1])} in report/report.toml; {known}")
            found = found[key]
        if isinstance(found, dict) or found is None:
            raise LookupError(f"{name} is no single value; choose one of its keys: {', '.join(found or ())}")
        return found


def _contradictions(settings: Settings) -> Iterator[toml.Wrong]:
    """Yields where one value does not fit another, and why."""
    if "campanile" not in settings.images:
        yield ("images",), "there is no [images.campanile], which sections 1.1 to 1.4 show; add it"
    used: list[toml.Wrong] = []
    for name, edits in (("edits", settings.edits), ("hand-drawn", settings.hand_drawn)):
        used += [((name, "images", number), image) for number, image in enumerate(edits.images)]
    used += [
        (("prompted", "pairs", number, "image"), pair.image) for number, pair in enumerate(settings.prompted.pairs)
    ]
    for place, image in used:
        if image not in settings.images:
            known = ", ".join(settings.images)
            yield place, f"there is no [images.{image}]; the images are {known}: correct the name or add the table"
    called = list(settings.called.values())
    for number, name in enumerate(settings.images):
        if called[number] in called[:number]:
            yield ("images", name, "called"), f"another image is called “the {called[number]}” too; choose another name"
    if not settings.holes:
        yield ("images",), "no image has a hole or a mask, which section 1.7.2 replaces; add one"
    pairs: Sequence[tuple[str, Anagrams | Hybrids]] = [("anagrams", settings.anagrams), ("hybrids", settings.hybrids)]
    for name, table in pairs:
        names = ["large", *(pair.name for pair in table.pairs)]
        for number, one in enumerate(names[1:]):
            if one in names[: number + 1]:
                yield (name, "pairs", number, "name"), f"another figure is called {one!r}; choose another name"
        if table.large.name not in names[1:]:
            yield (
                (name, "large", "name"),
                f"no pair is called {table.large.name!r}; choose one of {', '.join(names[1:])}",
            )


def read(path: Path = FILE) -> Settings:
    """Reads a report.toml. Raises SettingsError, one line for each mistake, with the number of its line."""
    return toml.read(path, Settings, _contradictions)


MINE = read()
