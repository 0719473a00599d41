"""The two judges that ship: their files, in weights/, and how they are read and written.

A file contains the parameters in float16, and as metadata what is needed to use them: the vocabulary, the width, and
the recipe by which train.py made them. Using a judge therefore needs neither the drawings nor the training.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from ...models import ModelError
from .judge import Judge, Judges
from .networks import Gradients, Residual
from .vocabulary import Vocabulary

WEIGHTS = Path(__file__).parent / "weights"
NETWORKS: dict[str, type[Judge]] = {"gradients": Gradients, "residual": Residual}  # the numbers of the first one count


def path(name: str) -> Path:
    return WEIGHTS / f"{name}.safetensors"


def digest(name: str) -> str:
    """Returns the sha256 of a judge's file."""
    return hashlib.sha256(path(name).read_bytes()).hexdigest()


def save(name: str, judge: Judge, recipe: dict[str, Any]) -> None:
    """Writes a judge's file under another name, then renames it. recipe: of the training, as a record."""
    about = {"width": judge.width, "recipe": recipe, "vocabulary": dataclasses.asdict(judge.vocabulary)}
    tensors = {key: value.half().contiguous() for key, value in judge.state_dict().items()}
    part = path(name).with_suffix(".part")
    save_file(tensors, part, {"judge": json.dumps(about, ensure_ascii=False)})
    part.replace(path(name))


def load(name: str) -> Judge:
    """Returns a judge, in float32. Raises ModelError if its file is missing or damaged."""
    try:
        with safe_open(path(name), framework="pt") as file:
            about = json.loads(file.metadata()["judge"])
        judge = NETWORKS[name](_vocabulary(about["vocabulary"]), about["width"])
        judge.load_state_dict(load_file(path(name)))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())[:160]
        restored = f"git checkout -- {path(name).relative_to(WEIGHTS.parents[3])}"
        raise ModelError(
            f"the judge {name!r} cannot be loaded from {path(name)} ({why}); restore it with `{restored}`"
        ) from error
    return judge.eval()


@cache
def judges() -> Judges:
    """Returns both judges. Raises ModelError if a file is missing or damaged, or if they differ in what they know."""
    both = Judges(*map(load, NETWORKS))
    if both.first.vocabulary != both.second.vocabulary:
        raise ModelError(
            "the judges know different names, styles or places; train both anew: "
            + " and ".join(f"`python -m generators.making.judging.train {name}`" for name in NETWORKS)
        )
    return both


def _vocabulary(stored: dict[str, Any]) -> Vocabulary:
    """Restores the tuples, which JSON stores as lists."""
    names = tuple(map(tuple, stored.pop("names")))
    nameless = stored.pop("nameless")
    return Vocabulary(names=names, nameless=nameless, **{key: tuple(value) for key, value in stored.items()})
