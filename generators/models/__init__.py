"""The interface to every model: `load("pocket")` or `load("deepfloyd")`, each by its family's provider.

This module does not import torch, so the staleness check stays fast.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from safetensors import SafetensorError

from ..records.errors import ModelError, ReportError
from .deepfloyd.provider import DeepFloydProvider
from .pocket.provider import SHIPPED, PocketProvider
from .provider import DryRun, Provider, Workload, path_in, variable
from .saved import PICKLES, walk

if TYPE_CHECKING:
    from .base import Cascade

Result = TypeVar("Result")

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
    place = path_in(variable(name)) or family.shipped
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
    return _guarded(name, lambda place: provider(name).plan(name, place, dry_run))


def prepare(name: str, dry_run: DryRun, tell: Callable[[str], None]) -> None:
    """Prepares a model for the workload: plans, reports the plan, fetches missing weights, encodes the prompts.

    Raises ModelError, one line, if the model cannot work here. A model that ships with the report is always ready.
    """
    _guarded(name, lambda place: provider(name).prepare(name, place, dry_run, tell))


def load(name: str) -> Cascade:
    """Loads a model. Raises ModelError, with advice, if that is not possible here."""
    return _guarded(name, lambda place: provider(name).load(name, place))


def _guarded(name: str, work: Callable[[Path | None], Result]) -> Result:
    """Runs `work` on the model's folder. Loaders raise errors of many types, often multi-line, on damaged files: all
    become a ModelError of one line."""
    place = folder(name)
    try:
        return work(place)
    except ReportError:  # one line already, of the model or of the sections in the dry run
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        why, where = " ".join(str(error).split())[:160], place or "the Hub's cache"
        advice = provider(name).advice(name)
        raise ModelError(f"{name}: the weights in {where} cannot be loaded ({why}); {advice}") from error


__all__ = ["NAMES", "SHIPPED", "Workload", "digest", "folder", "load", "plan", "prepare", "provider", "variable"]
