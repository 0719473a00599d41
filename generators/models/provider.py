"""What a family of models provides to the report. A new family is a folder with a provider, a line in `models`,
and its names in `records.texts`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .base import Cascade


class Workload(NamedTuple):
    """What a run asks of a model: its prompts, the evaluations of stages 1 and 2, and the images of stage 3.

    calls: in order, (stage 1, 2 or 3, approximate number of images in the call).
    """

    prompts: tuple[str, ...]
    first: int
    second: int
    third: int
    calls: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        return f"{self.first:,} evaluations of stage 1, {self.second:,} of stage 2, {self.third} images of stage 3"


@dataclass
class Sharing:
    """How many processes of a run plan with the same memory. ram: on this machine. gpu: on this process's GPU."""

    ram: int = 1
    gpu: int = 1


SHARING = Sharing()  # of this process; a worker sets it

DryRun = Callable[[int, bool], Workload]  # takes the second stage's number of steps and whether it is guided


def variable(name: str) -> str:
    """Returns the environment variable that sets the folder of a model's weights."""
    return f"{name.upper().replace('-', '_')}_WEIGHTS"


def path_of(value: str | None) -> Path | None:
    """Returns the path that an environment variable holds, if it is set; `~` is the home folder."""
    if not value:
        return None
    try:
        return Path(value).expanduser()
    except RuntimeError:  # the home of a user who does not exist
        return Path(value)


class Provider(ABC):
    """A family of models of one architecture. Its module does not import torch, so that staleness is checked fast.

    names: of its models. shipped: the folder of the weights that ship with the report, if any. definitions: what a
    section's pixels depend on besides its own, as in "generators.models.pocket.cascade:load" (see
    `running.definitions`). plans: whether a machine may be too small or too slow for it, so that runs are planned.
    Methods take a model's name, and its folder of weights: one that the user has set, or `shipped`.
    """

    names: tuple[str, ...]
    shipped: Path | None = None
    definitions: tuple[str, ...]
    plans: bool = True

    @abstractmethod
    def advice(self, name: str) -> str:
        """Returns what to do if the weights are missing or wrong."""

    @abstractmethod
    def digest(self, name: str, folder: Path | None) -> str:
        """Returns a sha256 that identifies the weights, and what else a sample depends on besides the code."""

    @abstractmethod
    def plan(self, name: str, folder: Path | None, dry_run: DryRun) -> tuple[list[str], list[str]]:
        """Returns what drawing needs, what is present and what will be done, as lines; and why it cannot work, if so.

        Fetches nothing.
        """

    @abstractmethod
    def prepare(self, name: str, folder: Path | None, dry_run: DryRun, tell: Callable[[str], None], here: bool) -> None:
        """Does what must be done before `load`, such as fetching weights, and tells so. here: see `models.prepare`.
        Raises ModelError."""

    @abstractmethod
    def load(self, name: str, folder: Path | None) -> Cascade:
        """Loads the model. Raises ModelError, or any error of a loader on damaged files."""
