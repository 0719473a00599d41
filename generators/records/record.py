"""The schema of a record: what a section's figures show and how they were made, as JSON on disk and as values here.

A record is one JSON object with a seal over its other fields. The generators write it (`generators.running.session`);
the page knows nothing else about drawing.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import abc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from . import files
from .errors import SealError
from .texts import NAME, control_character, section_key, walk

FORMAT = 1
FILE = "record.json"  # in a section's folder, beside its panels
Made = TypeVar("Made")
_types: Callable[[type], dict[str, Any]] = cache(get_type_hints)  # of a dataclass's fields, by name


@dataclass(frozen=True)
class Trajectory:
    """One walk of the sampling loop, or one estimate outside it.

    number: its place in the section; panels of one picture share it. None in records of older versions. stage: 1, 2 or
    3, of the cascade. seed: of its noise; None for an estimate outside the loop. gamma: the guidance scales. timesteps:
    all that it visits, in order; where they rise, the image is noised again. evaluations: of the network, each for one
    image. seconds: their time.
    """

    number: int | None
    stage: int
    seed: int | None
    prompts: tuple[str, ...]
    gamma: tuple[float, ...]
    timesteps: tuple[int, ...]
    evaluations: int
    seconds: float


@dataclass(frozen=True)
class Panel:
    """One image of a figure, and how it was made.

    number: counted from 1 in its figure. width, height: in pixels. pixels: the SHA-256 of the decoded RGB bytes. case:
    the arguments of `draw`; found: the values that it measured. seeds: of the samples whose noise it uses.
    """

    number: int
    file: str
    width: int
    height: int
    pixels: str
    row: str
    label: str
    alt: str
    case: Mapping[str, Any]
    found: Mapping[str, Any]
    inputs: tuple[str, ...]
    seeds: tuple[int, ...]
    trajectories: tuple[Trajectory, ...]
    origin: str

    @property
    def name(self) -> str:
        """Row and label, as tables name the panel."""
        return " · ".join(filter(None, (self.row, self.label))) or f"panel {self.number}"

    @property
    def prompts(self) -> tuple[str, ...]:
        return _distinct(prompt for walk in self.trajectories for prompt in walk.prompts)

    @property
    def gamma(self) -> tuple[float, ...]:
        """The guidance scales of stage 1."""
        return _distinct(gamma for walk in self.of_stage(1) for gamma in walk.gamma)

    @property
    def timesteps(self) -> tuple[int, ...]:
        """The timesteps of stage 1."""
        return tuple(t for walk in self.of_stage(1) for t in walk.timesteps)

    @property
    def evaluations(self) -> int:
        return sum(walk.evaluations for walk in self.trajectories)

    def of_stage(self, *stages: int) -> list[Trajectory]:
        return [walk for walk in self.trajectories if walk.stage in stages]


@dataclass(frozen=True)
class Figure:
    """One figure of a section. The prose names it by its id, such as "1.2-blur"."""

    section: str
    name: str
    caption: str
    panels: tuple[Panel, ...]

    @property
    def id(self) -> str:
        return f"{self.section}-{self.name}"

    @cached_property
    def rows(self) -> list[tuple[str, list[Panel]]]:
        """The panels grouped by row, in order of first appearance."""
        grouped: dict[str, list[Panel]] = {}
        for panel in self.panels:
            grouped.setdefault(panel.row, []).append(panel)
        return list(grouped.items())

    @property
    def columns(self) -> int:
        return max(len(panels) for _, panels in self.rows)

    @property
    def is_grid(self) -> bool:
        """Whether the labels can be column headers: several rows, all with the same labels in the same order."""
        labels = [[panel.label for panel in panels] for _, panels in self.rows]
        return len(labels) > 1 and all(row == labels[0] for row in labels)

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """Those of all panels; one that several panels share stands here once."""
        return _distinct(walk for panel in self.panels for walk in panel.trajectories)


@dataclass(frozen=True)
class Record:
    """One drawn section.

    digest: of the model's weights. drawn: when, ISO 8601, which identifies the drawing; where: on which machine. Both
    are empty in records of older versions. seconds: the drawing time. network_calls: forward passes of the networks;
    evaluations: images in them. hints: what the model said of prompts that it cannot draw, by prompt. folder: of the
    panels' files; None if only the published page has them.
    """

    id: str
    title: str
    source: str
    model: str
    digest: str
    description: str
    settings: Mapping[str, str]
    dtype: str
    device: str
    drawn: str
    where: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: float
    network_calls: int
    evaluations: int
    hints: Mapping[str, str]
    figures: tuple[Figure, ...]
    path: Path
    folder: Path | None


def seal(record: Mapping[str, Any]) -> str:
    """Returns the seal of a record, the SHA-256 of its other fields as sorted JSON, which reveals edits.

    Raises ValueError for NaN and infinity.
    """
    content = {name: value for name, value in record.items() if name != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def write(path: Path, record: dict[str, Any], synced: bool = True) -> None:
    """Seals a record and writes it as sorted JSON; synced: as of `files.write`. Raises OSError."""
    record["seal"] = seal(record)
    files.write(path, json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n", synced)


def parse(text: str) -> Any:
    """Parses a JSON text. Raises ValueError for NaN, Infinity and numbers too large for a float."""
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{literal[:40]} is not a finite number")
    return value


def read_json(path: Path) -> dict[str, Any] | None:
    """Reads a record as a JSON object, whether its seal holds or not; None if it is missing or unreadable."""
    try:
        record = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get("format") == FORMAT else None


def read_drawn(folder: Path) -> dict[str, Any] | None:
    """Reads the record in a section's folder; None if it is missing or unreadable."""
    return read_json(folder / FILE)


def wrong_seal(record: Mapping[str, Any]) -> str | None:
    """Returns what is wrong with a record's seal, as the end of a sentence about the record; None if it holds."""
    if "seal" not in record:
        return "has no seal: it is from an older version or was edited by hand"
    return None if record["seal"] == seal(record) else "was edited by hand: its seal does not match its content"


def read(path: Path, folder: Path | None) -> Record:
    """Reads and checks a section's record. Raises SealError, OSError, KeyError, ValueError, TypeError, AttributeError
    or RecursionError if it is not one."""
    return _read(path.read_text(encoding="utf-8"), path, folder)


@lru_cache(maxsize=128)  # a command reads each of its records several times
def _read(text: str, path: Path, folder: Path | None) -> Record:
    raw = parse(text)
    if raw.get("format") != FORMAT:
        raise ValueError(f"format {raw.get('format')!r}, expected {FORMAT}")
    if wrong := wrong_seal(raw):
        raise SealError(f"the record {wrong}")
    for place, value in walk(raw):
        for name in value if isinstance(value, dict) else ():
            if control := control_character(name):
                raise ValueError(f"{control} in the name of a field of {place or 'the record'}")
        if isinstance(value, str) and (control := control_character(value)):
            raise ValueError(f"{control} in {place}")
    section_key(raw["id"])
    if not re.fullmatch(r"generators/sections/part_[0-9_]+\.py", raw["source"]):
        raise ValueError(f"source {raw['source']!r} is not a section's module")
    return parsed(raw, path, folder)


def parsed(raw: Mapping[str, Any], path: Path, folder: Path | None = None) -> Record:
    """Returns a record from its parsed JSON. Raises KeyError, ValueError or TypeError if it is invalid."""
    walks = [_made(Trajectory, walk, number=number) for number, walk in enumerate(raw.get("trajectories", ()))]
    figures = tuple(_figure(raw["id"], figure, walks) for figure in raw["figures"])
    about = {"settings": {}, "drawn": "", "where": {}, "hints": {}, **raw["model"], **raw}
    return _made(Record, about, model=raw["model"]["name"], figures=figures, path=path, folder=folder)


def _figure(section: str, raw: Mapping[str, Any], walks: list[Trajectory]) -> Figure:
    if not re.fullmatch(NAME, raw["name"]):
        raise ValueError(f"figure name {raw['name']!r} is not lower-case words joined by hyphens")
    panels = tuple(_panel(number, panel, walks) for number, panel in enumerate(raw["panels"], 1))
    if not panels:
        raise ValueError(f"figure {raw['name']} has no panels")
    return _made(Figure, raw, section=section, panels=panels)


def _panel(number: int, raw: Mapping[str, Any], walks: list[Trajectory]) -> Panel:
    if Path(raw["file"]).name != raw["file"]:
        raise ValueError(f"panel file {raw['file']!r} is not a plain name")
    if not re.fullmatch(r"[0-9a-f]{64}", raw["pixels"]):
        raise ValueError(f"panel digest {raw['pixels']!r} is not a SHA-256")
    return _made(Panel, raw, number=number, trajectories=tuple(_walks_of(raw, walks)))


def _made(kind: type[Made], raw: Mapping[str, Any], **given: Any) -> Made:
    """Returns a dataclass of the given fields, and of those of a JSON object. Raises KeyError for a missing one, and
    what `_value` raises."""
    types = _types(kind)
    return kind(**given, **{name: _value(name, types[name], raw[name]) for name in types if name not in given})


def _value(name: str, kind: Any, value: Any) -> Any:
    """Returns a JSON value as the type of the field `name`. Raises TypeError or AttributeError for another type."""
    if get_origin(kind) is tuple:
        return tuple(_value(name, get_args(kind)[0], item) for item in value)
    if get_origin(kind) is abc.Mapping:
        return {key: _value(name, get_args(kind)[1], item) for key, item in value.items()}
    is_number = kind in (int, float)
    if kind is not Any and not isinstance(value, (int, float) if is_number else kind):
        raise TypeError(f"{name}: {value!r:.40} is not of the type {getattr(kind, '__name__', kind)}")
    return kind(value) if is_number else value


def _walks_of(raw: Mapping[str, Any], walks: list[Trajectory]) -> Iterator[Trajectory]:
    """Yields a panel's trajectories. In a record of an older version they follow from the panel's own fields."""
    if "trajectories" in raw:
        yield from (walks[number] for number in raw["trajectories"])
        return
    gamma = raw["gamma"] if isinstance(raw["gamma"], list) else [] if raw["gamma"] is None else [raw["gamma"]]
    seed, later = next(iter(raw["seeds"]), None), tuple(raw.get("later_timesteps", ()))
    own = (tuple(raw["prompts"]), tuple(map(float, gamma)), tuple(raw["timesteps"]))
    if own[2]:
        yield Trajectory(None, 1, seed, *own, int(raw["evaluations"]) - len(later), float(raw["seconds"]))
    if later:
        yield Trajectory(None, 2, seed, own[0], (), later, len(later), 0.0)


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))
