"""The interface to every model: `load("pocket")` or `load("deepfloyd")`, each by its family's provider.

This module does not import torch, so the staleness check stays fast.
"""

from __future__ import annotations

import os
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
    with _guarded(name, (*UNREADABLE, RuntimeError)) as place:
        return provider(name).load(name, place)


@contextmanager
def _guarded(name: str, caught: Errors) -> Iterator[Path | None]:
    """Gives the model's folder to a block. Errors in `caught`, often multi-line, become a ModelError of one line; all
    others are the program's own, and are raised as they are. What configurations say wrongly, `networks` tells."""
    place = folder(name)
    try:
        yield place
    except ReportError:  # one line already, of the model or of the sections in the dry run
        raise
    except caught as error:
        why, where = " ".join(str(error).split())[:160], place or "the Hub's cache"
        advice = provider(name).advice(name)
        raise ModelError(f"{name}: the weights in {where} cannot be loaded ({why}); {advice}") from error


__all__ = ["NAMES", "SHIPPED", "Workload", "digest", "folder", "load", "plan", "prepare", "provider", "variable"]
