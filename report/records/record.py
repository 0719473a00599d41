"""Reads the records that the generators write into plain values. The page knows nothing else about drawing."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from report.basics.characters import CONTROL
from report.basics.problems import Problems

FORMAT = 1

_CONTROL = re.compile(CONTROL)


@dataclass(frozen=True)
class Panel:
    """One image of a figure, and how it was made.

    number: counted from 1 in its figure. width, height: in pixels. pixels: the SHA-256 of the decoded RGB bytes. case:
    the arguments of `draw`; found: the values that it measured. seconds: its share of the networks' time.
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
    prompts: tuple[str, ...]
    gamma: tuple[float, ...]
    timesteps: tuple[int, ...]
    later_timesteps: tuple[int, ...]
    evaluations: int
    seconds: float
    origin: str

    @property
    def name(self) -> str:
        """Row and label, as tables name the panel."""
        return " · ".join(filter(None, (self.row, self.label))) or f"panel {self.number}"


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


@dataclass(frozen=True)
class Record:
    """One drawn section.

    digest: of the model's weights. seconds: the drawing time. network_calls: forward passes of the networks;
    evaluations: images in them. folder: of the panels' files; None if only the published page has them.
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
    versions: Mapping[str, str]
    seconds: float
    network_calls: int
    evaluations: int
    figures: tuple[Figure, ...]
    path: Path
    folder: Path | None


def section_key(section_id: str) -> tuple[int, ...]:
    """Returns the sort key of a section id, by number: 1.10 comes after 1.9."""
    return tuple(int(part) for part in section_id.split("."))


class SealError(ValueError):
    """A record's seal is missing or does not match its content."""


def seal(record: Mapping[str, Any]) -> str:
    """Returns the seal of a record, the SHA-256 of its other fields as sorted JSON, which reveals edits.

    Identical to `generators.running.staleness.seal`. Raises ValueError for NaN and infinity.
    """
    content = {name: value for name, value in record.items() if name != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def parse(text: str) -> Any:
    """Parses a JSON text. Raises ValueError for NaN, Infinity and numbers too large for a float."""
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{literal[:40]} is not a finite number")
    return value


def load(root: Path, model: str, site: Path, problems: Problems, drawn_here: bool = True) -> list[Record]:
    """Reads the records of all sections that `model` has drawn, in page order.

    A record in root/.report takes precedence over the published one in `site`; without `drawn_here`, only published
    ones are read. An unusable record is skipped and reported to `problems`, in one line.
    """
    paths = {path.stem: path for path in site.glob("records/*.json")}
    if drawn_here:
        paths |= {path.parent.name: path for path in root.glob(f".report/{model}/[!.]*/record.json")}
    records = []
    for section_id, path in paths.items():
        local = path.name == "record.json"
        again = f"run `report section {section_id}`"
        try:
            record = _read(path, path.parent if local else None)
        except SealError as error:
            problems.add(path, None, f"{error}; to draw it again, {again}")
            continue
        except KeyError as error:
            problems.add(path, None, f"the record has no {error}; {again}")
            continue
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            problems.add(path, None, f"not a record ({error}); {again}")
            continue
        if not (root / record.source).is_file():
            continue  # the section was removed from the report
        if record.id != section_id:
            problems.add(path, None, f"the record belongs to section {record.id}; {again}")
        elif record.model == model:
            records.append(record)
        elif local:  # a published record of another model does not concern this page
            problems.add(path, None, f"drawn by {record.model}, not {model}; {again}")
    return sorted(records, key=lambda record: section_key(record.id))


def _read(path: Path, folder: Path | None) -> Record:
    raw = parse(path.read_text(encoding="utf-8"))
    if raw.get("format") != FORMAT:
        raise ValueError(f"format {raw.get('format')!r}, expected {FORMAT}")
    if "seal" not in raw:
        raise SealError("the record has no seal: it is from an older version or was edited by hand")
    if raw["seal"] != seal(raw):
        raise SealError("the record was edited by hand: its seal does not match its content")
    for place, text in _texts(raw):
        if control := _CONTROL.search(text):
            raise ValueError(f"the control character U+{ord(control[0]):04X} in {place}")
    section_key(raw["id"])
    if not re.fullmatch(r"generators/sections/part_[0-9_]+\.py", raw["source"]):
        raise ValueError(f"source {raw['source']!r} is not a section's module")
    return parsed(raw, path, folder)


def parsed(raw: Mapping[str, Any], path: Path, folder: Path | None = None) -> Record:
    """Returns a record from its parsed JSON. Raises KeyError, ValueError or TypeError if it is invalid."""
    return Record(
        id=raw["id"],
        title=raw["title"],
        source=raw["source"],
        model=raw["model"]["name"],
        digest=raw["model"]["digest"],
        description=raw["model"]["description"],
        settings=_settings(raw["model"].get("settings", {})),
        dtype=raw["dtype"],
        device=raw["device"],
        versions=dict(raw["versions"]),
        seconds=float(raw["seconds"]),
        network_calls=int(raw["network_calls"]),
        evaluations=int(raw["evaluations"]),
        figures=tuple(_figure(raw["id"], figure) for figure in raw["figures"]),
        path=path,
        folder=folder,
    )


def _settings(raw: Mapping[str, Any]) -> dict[str, str]:
    """Returns the model's settings by name; the page shows names and values."""
    if wrong := next((text for text in raw.values() if not isinstance(text, str)), None):
        raise ValueError(f"the model's setting {wrong!r} is not a text")
    return dict(raw)


def _figure(section: str, raw: Mapping[str, Any]) -> Figure:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", raw["name"]):
        raise ValueError(f"figure name {raw['name']!r} is not lower-case words joined by hyphens")
    panels = tuple(_panel(number, panel) for number, panel in enumerate(raw["panels"], 1))
    if not panels:
        raise ValueError(f"figure {raw['name']} has no panels")
    return Figure(section=section, name=raw["name"], caption=raw["caption"], panels=panels)


def _panel(number: int, raw: Mapping[str, Any]) -> Panel:
    if Path(raw["file"]).name != raw["file"]:
        raise ValueError(f"panel file {raw['file']!r} is not a plain name")
    if not re.fullmatch(r"[0-9a-f]{64}", raw["pixels"]):
        raise ValueError(f"panel digest {raw['pixels']!r} is not a SHA-256")
    return Panel(
        number=number,
        file=raw["file"],
        width=int(raw["width"]),
        height=int(raw["height"]),
        pixels=raw["pixels"],
        row=raw["row"],
        label=raw["label"],
        alt=raw["alt"],
        case=dict(raw["case"]),
        found=dict(raw["found"]),
        inputs=tuple(raw["inputs"]),
        seeds=tuple(raw["seeds"]),
        prompts=tuple(raw["prompts"]),
        gamma=_numbers(raw["gamma"]),
        timesteps=tuple(raw["timesteps"]),
        later_timesteps=tuple(raw.get("later_timesteps", ())),
        evaluations=int(raw["evaluations"]),
        seconds=float(raw["seconds"]),
        origin=raw["origin"],
    )


def _numbers(value: Any) -> tuple[float, ...]:
    """Returns what a record says as null, one number or a list of them."""
    return tuple(value) if isinstance(value, list) else () if value is None else (value,)


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yields all texts in a JSON value, field names included, with their places, such as figures[0].panels[2].label."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield f"the name of a field of {place or 'the record'}", name
            yield from _texts(item, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, f"{place}[{number}]")
    elif isinstance(value, str):
        yield place, value
