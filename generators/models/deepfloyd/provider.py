"""DeepFloyd's provider, in three sizes of stage 1. Its weights are in the Hub's cache, or in a folder of the user's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..provider import DryRun, Provider, variable
from . import weights

if TYPE_CHECKING:
    from .cascade import DeepFloyd


class DeepFloydProvider(Provider):
    """See `Provider`. What a section depends on includes how its prompts are encoded."""

    names = tuple(weights.FIRST)
    definitions = (
        *(f"generators.models.deepfloyd.cascade:{name}" for name in ("DeepFloyd", "Spot")),
        *(f"generators.models.deepfloyd.text:{name}" for name in ("Embeddings", "encode")),
        "generators.models.deepfloyd.course_embeddings:CourseEmbeddings",
        "generators.models.forward_cache:ForwardCache",
    )

    def advice(self, name: str) -> str:
        return f"set {variable(name)} to a folder with stage_1/ (and stage_2/, stage_3/) as diffusers saves them"

    def digest(self, name: str, folder: Path | None) -> str:
        return weights.digest(name, folder)

    def plan(self, name: str, folder: Path | None, dry_run: DryRun) -> tuple[list[str], list[str]]:
        from .plan import doctor

        return doctor(name, folder, dry_run)

    def prepare(self, name: str, folder: Path | None, dry_run: DryRun, tell: Callable[[str], None], here: bool) -> None:
        from .plan import prepare

        prepare(name, folder, dry_run, tell, here)

    def load(self, name: str, folder: Path | None) -> DeepFloyd:
        from .plan import load

        return load(name, folder)
