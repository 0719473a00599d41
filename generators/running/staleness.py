"""Digests of the dependencies of a section's panels, and the check for staleness. Does not import torch, so that a run
with nothing to draw is fast.

A section depends on the definitions that it, the lab and the model reach (see `definitions`), on the model's weights,
and on its input images. Comments, docstrings, titles, captions, labels, alt texts, the wording of errors and file
locations do not count: rewording or moving makes nothing stale, and neither does a change of what is not used.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

from .. import inputs, models, settings
from ..records import kept
from ..records.errors import SectionError
from ..records.record import read_drawn, wrong_seal
from ..records.texts import section_key
from .definitions import Definitions

PACKAGE = __package__.partition(".")[0]
HOME = Path(__file__).parents[1]
SECTIONS = HOME / "sections"
SECTIONS_PACKAGE = f"{PACKAGE}.sections"


def sections() -> dict[str, Path]:
    """Returns the modules of all sections by id, in page order: part_1_7_1.py is 1.7.1, and 1.10 follows 1.9."""
    found = {path.stem.removeprefix("part_").replace("_", "."): path for path in SECTIONS.glob("part_*.py")}
    for section_id, path in found.items():
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", section_id):
            raise SectionError(f"{path.name}: a section's module is named after its number, such as part_1_10.py")
    return {section_id: found[section_id] for section_id in sorted(found, key=section_key)}


def module_of(section_id: str) -> str:
    """Returns the full name of a section's module."""
    return f"{SECTIONS_PACKAGE}.{sections()[section_id].stem}"


def source_digest(section_id: str, model: str) -> str:
    """Returns the sha256 over all definitions that the section reaches, without texts for readers. Raises SectionError
    for a module that does not parse."""
    return digest_of(f"{module_of(section_id)}:SECTION", model)


def digest_of(definition: str, model: str) -> str:
    """Returns the same for any definition that draws, such as "generators.pictures:hybrids"."""
    shared = (f"{PACKAGE}.lab:Lab", f"{PACKAGE}.running.drawing:pixels_of")
    return _definitions().digest([definition, *shared, *models.provider(model).definitions])


def words_digest(section_id: str) -> str:
    """Returns the sha256 over all source and settings from which the section's texts for readers can come."""
    source = _definitions().source_digest(f"{module_of(section_id)}:SECTION")
    return hashlib.sha256(f"{source} {settings.MINE!r}".encode()).hexdigest()


class _KeptDefinitions(Definitions):
    """The definitions of this package. Their digests are kept until a module or a setting changes."""

    def __init__(self) -> None:
        super().__init__(HOME, {f"{PACKAGE}.settings.MINE": settings.MINE})
        modules = sorted(HOME.rglob("*.py"))
        sources = (part for path in modules for part in (path.relative_to(HOME).as_posix(), path.read_bytes()))
        self._kept = kept.Kept(
            HOME.parent / ".cache" / "digests.json", kept.digest(sys.version, repr(settings.MINE), *sources)
        )

    def digest(self, roots: Iterable[str]) -> str:
        roots = [*roots]
        return self._found(f"all that {', '.join(roots)} reach", partial(super().digest, roots))

    def source_digest(self, root: str) -> str:
        return self._found(f"the modules that {root} reaches", partial(super().source_digest, root))

    def _found(self, key: str, compute: Callable[[], str]) -> str:
        found = self._kept.find(key, compute)
        self._kept.save()
        return found


@cache
def _definitions() -> Definitions:
    return _KeptDefinitions()


def why_stale(folder: Path, section_id: str, model: str) -> str | None:
    """Returns why the section in this folder must be redrawn, in a few words; None if it is up to date."""
    record = read_drawn(folder)
    if record is None:
        return "not drawn yet"
    try:
        if wrong := wrong_seal(record):
            return f"its record {wrong}"
        if why := changed_dependency(record, section_id, model):
            return why
        for panel in (panel for figure in record["figures"] for panel in figure["panels"]):
            path = folder / panel["file"]
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != panel["bytes"]:
                return f"{panel['file']} is missing or damaged"
    except (KeyError, TypeError, AttributeError):
        return "its record is damaged"
    return None


def changed_dependency(record: dict[str, Any], section_id: str, model: str) -> str | None:
    """Returns which dependency of the record has changed, in a few words; None if none has."""
    depends = record["depends"]
    if depends["weights"] != weights_digest(model):
        return "the model's weights changed"
    if depends["source"] != source_digest(section_id, model):
        return "its source changed"
    for name, digest in depends["inputs"].items():
        if inputs.digest_of(inputs.find(name)) != digest:
            return f"the input image {name} changed"
    return None


weights_digest = cache(models.digest)  # of a model, by its name
