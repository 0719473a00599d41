"""The interface to every model: `load("pocket")` or `load("deepfloyd")`, each by its family's provider.

This module does not import torch, so the staleness check stays fast.
"""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from ..records.errors import ModelError, ReportError
from .deepfloyd.provider import DeepFloydProvider
from .pocket.provider import SHIPPED, PocketProvider
from .provider import DryRun, Provider, Workload, path_of, variable
from .saved import PICKLES, walk

if TYPE_CHECKING:
    from .base import Cascade

Errors = tuple[type[Exception], ...]

UNREADABLE: Errors = (OSError, SafetensorError)
IN_LIBRARIES: Errors = (ValueError, LookupError, TypeError, AttributeError)  # what loaders raise on wrong contents
FAMILIES: tuple[Provider, ...] = (PocketProvider(), DeepFloydProvider())
NAMES = tuple(name for family in FAMILIES for name in family.names)


def provider(name: str) -> Provider:
    """Returns the provider of a model. Raises ModelError for an unknown one."""
    for family in FAMILIES:
        if name in family.names:
            return family
    raise ModelError(f"model {name!r}: choose one of {', '.join(NAMES)}")


def folder(name: str) -> Path | None:
    """Returns the folder of a model's weights: POCKET_WEIGHTS or DEEPFLOYD_WEIGHTS (DEEPFLOYD_L_WEIGHTS …) if set; else
    the one that ships, or None for weights in the Hub's cache.

    Raises ModelError for an unknown model and for missing weights. Other formats, which can execute code, are not read.
    """
    family = provider(name)
    place = path_of(os.environ.get(variable(name))) or family.shipped
    if place is None:
        return None
    pickle = None
    for path in walk(place):
        if path.suffix == ".safetensors":
            return place
        pickle = path if path.suffix in PICKLES else pickle
    only = f", only {pickle}, a pickle, which can execute code and is not read" if pickle else ""
    raise ModelError(f"{name}: no weights (*.safetensors) in {place}{only}; {family.advice(name)}")


def digest(name: str) -> str:
    """Returns a sha256 that identifies a model's weights. Raises what `folder` raises."""
    return provider(name).digest(name, folder(name))


def plan(name: str, dry_run: DryRun) -> tuple[list[str], list[str]]:
    """Returns what drawing needs, what is present and what will be done, as lines; and the reasons why it cannot work,
    if any.

    Fetches nothing. Raises ModelError for an unknown model or missing weights.
    """
    with _guarded(name, UNREADABLE) as place:
        return provider(name).plan(name, place, dry_run)


def prepare(name: str, dry_run: DryRun, tell: Callable[[str], None], here: bool = True) -> None:
    """Prepares a model for the workload: plans, reports the plan, fetches missing weights, encodes the prompts.

    here: whether this process will draw. Otherwise its memory and its speed are not planned with, since workers plan
    with theirs, and its GPU is left alone.

    Raises ModelError, one line, if the model cannot work here. A model that ships with the report is always ready.
    """
    with _guarded(name, (*UNREADABLE, RuntimeError)) as place:
        provider(name).prepare(name, place, dry_run, tell, here)


def load(name: str) -> Cascade:
    """Loads a model. Raises ModelError, with advice, if that is not possible here."""
    with _guarded(name, (*UNREADABLE, RuntimeError), IN_LIBRARIES) as place:
        return provider(name).load(name, place)


@contextmanager
def _guarded(name: str, caught: Errors, in_libraries: Errors = ()) -> Iterator[Path | None]:
    """Gives the model's folder to a block. Loaders raise errors of many types, often multi-line, on damaged files:
    those in `caught` become a ModelError of one line, and those in `in_libraries` where a library raised them.

    All others are the program's own, and are raised as they are.
    """
    place = folder(name)
    try:
        yield place
    except ReportError:  # one line already, of the model or of the sections in the dry run
        raise
    except Exception as error:
        if not isinstance(error, caught) and not (isinstance(error, in_libraries) and _raised_in_a_library(error)):
            raise
        why, where = " ".join(str(error).split())[:160], place or "the Hub's cache"
        advice = provider(name).advice(name)
        raise ModelError(f"{name}: the weights in {where} cannot be loaded ({why}); {advice}") from error


def _raised_in_a_library(error: Exception) -> bool:
    """Returns whether the innermost statement of an error is of an installed package or of Python itself."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    innermost = Path(files[-1])
    libraries = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    own = Path(__file__).parents[1]
    within = innermost.name.startswith("<frozen") or any(innermost.is_relative_to(library) for library in libraries)
    return within and not innermost.is_relative_to(own)


__all__ = ["NAMES", "SHIPPED", "Workload", "digest", "folder", "load", "plan", "prepare", "provider", "variable"]
