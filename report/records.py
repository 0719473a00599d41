"""The records that the generators leave on disk, read into plain values. The page knows nothing else about drawing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from report.problems import Problems

FORMAT = 1

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Panel:
    """One image of a figure, and how it was made. `pixels` is the SHA-256 of its decoded RGB bytes."""

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
    gamma: float | None
    timesteps: tuple[int, ...]
    later_timesteps: tuple[int, ...]
    evaluations: int
    seconds: float
    origin: str

    @property
    def name(self) -> str:
        """Row and label together, as a table names the panel."""
        return " · ".join(filter(None, (self.row, self.label))) or f"panel {self.number}"


@dataclass(frozen=True)
class Figure:
    """One figure of a section; its id, such as "1.2-blur", is what the prose names."""

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
        """Whether labels can be column headers: several rows, all with the same labels in the same order."""
        labels = [[panel.label for panel in panels] for _, panels in self.rows]
        return len(labels) > 1 and all(row == labels[0] for row in labels)


@dataclass(frozen=True)
class Record:
    """One drawn section. `folder` holds its panels' files; it is None when only the published page has them."""

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
    """Sorts section ids by number: 1.10 comes after 1.9."""
    return tuple(int(part) for part in section_id.split("."))


def load(root: Path, model: str, site: Path, problems: Problems, drawn_here: bool = True) -> list[Record]:
    """Every section that `model` has drawn, in page order: local records first, published ones for the rest.

    Without `drawn_here`, the published ones only.
    """
    paths = {path.stem: path for path in site.glob("records/*.json")}
    if drawn_here:
        paths |= {path.parent.name: path for path in root.glob(f".report/{model}/[!.]*/record.json")}
    records = []
    for section_id, path in paths.items():
        local = path.name == "record.json"
        try:
            record = _read(path, path.parent if local else None)
        except KeyError as error:
            problems.add(path, None, f"the record has no {error}; run `report section {section_id}`")
            continue
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            problems.add(path, None, f"not a record ({error}); run `report section {section_id}`")
            continue
        if not (root / record.source).is_file():
            continue  # the section was taken out of the report
        if record.id != section_id:
            problems.add(path, None, f"the record is of section {record.id}; run `report section {section_id}`")
        elif record.model == model:
            records.append(record)
        elif local:  # a published record of another model is simply not ours
            problems.add(path, None, f"drawn by {record.model}, not {model}; run `report section {section_id}`")
    return sorted(records, key=lambda record: section_key(record.id))


def _read(path: Path, folder: Path | None) -> Record:
    raw = json.loads(path.read_text(encoding="utf-8"))
    if raw.get("format") != FORMAT:
        raise ValueError(f"format {raw.get('format')!r}, expected {FORMAT}")
    section_key(raw["id"])
    if not re.fullmatch(r"generators/part_[0-9_]+\.py", raw["source"]):
        raise ValueError(f"source {raw['source']!r} is no section's")
    return parsed(raw, path, folder)


def parsed(raw: Mapping[str, Any], path: Path, folder: Path | None = None) -> Record:
    """A record from its JSON. Raises KeyError, ValueError or TypeError where it is none."""
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
    """How a model was set up, by name; both are shown on the page."""
    texts = [text for pair in raw.items() for text in pair]
    if wrong := next((text for text in texts if not isinstance(text, str) or _CONTROL.search(text)), None):
        raise ValueError(f"the model's setting {wrong!r} is no plain text")
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
        raise ValueError(f"panel digest {raw['pixels']!r} is no SHA-256")
    if control := _CONTROL.search("".join(map(str, _texts(raw)))):
        raise ValueError(f"the control character U+{ord(control[0]):04X} in a text of a panel")
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
        gamma=raw["gamma"],
        timesteps=tuple(raw["timesteps"]),
        later_timesteps=tuple(raw.get("later_timesteps", ())),
        evaluations=int(raw["evaluations"]),
        seconds=float(raw["seconds"]),
        origin=raw["origin"],
    )


def _texts(raw: Mapping[str, Any]) -> list[Any]:
    """What a reader of the page may see of a panel."""
    return [raw["row"], raw["label"], raw["alt"], *raw["prompts"], *raw["case"].values(), *raw["found"].values()]
