"""What is up to date: of the sections drawn here, and of those on the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generators.records.errors import ModelError
from generators.records.record import read_json
from generators.running import staleness
from generators.running.run import state_folder


def statuses(root: Path, model: str) -> dict[str, str]:
    """Returns, for each section, "up to date", or why it would be drawn and whether the page has it all the same."""
    found = {}
    for section_id in staleness.sections():
        folder = state_folder(root, model) / section_id
        found[section_id] = staleness.why_stale(folder, section_id, model) or "up to date"
        raw = read_json(root / "site" / "records" / f"{section_id}.json")
        if not folder.exists() and raw and raw["model"]["name"] == model:
            why = _changed(raw, section_id, model)
            found[section_id] = f"published, not drawn here{f'; {why} since' if why else ''}"
    return found


def stale(root: Path, model: str) -> list[str]:
    """Names the sections on the page whose code, weights or inputs have changed since, a line for each change."""
    sections: dict[str, list[str]] = {}
    for section_id in staleness.sections():
        raw = read_json(root / "site" / "records" / f"{section_id}.json")
        if raw and raw["model"]["name"] == model and (why := _changed(raw, section_id, model)):
            sections.setdefault(why, []).append(section_id)
    return [f"on the page but stale: {', '.join(ids)} ({why})" for why, ids in sections.items()]


def _changed(raw: Mapping[str, Any], section_id: str, model: str) -> str | None:
    """Returns what has changed since a record was drawn; None if nothing has, or if the weights are not here."""
    try:
        return staleness.changed_dependency(dict(raw), section_id, model)
    except (ModelError, KeyError, TypeError, AttributeError):
        return None
