"""Which pairs of prompts make an illusion: every pair is drawn a few times, and pocket's judges say what came of it.

A pair's samples are ranked by their alignment, the score of the worse reading, with the concealment beside it: how well
the readings can be told apart (Geng et al. 2024, "Visual Anagrams"; `measures` defines both, on the judges'
log-probabilities instead of CLIP's cosines). The first judge ranks; what the second one says stands beside it.

What was drawn is kept, a folder a pair, under the digest of all that it depends on. So a search that was stopped goes
on where it was, and one with more prompts draws only the new pairs.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import models
from ..diffusion.filters import low_pass
from ..diffusion.views import named
from ..figures import Figure
from ..models.base import Model
from ..running import run, single_figure, staleness
from . import scorer, train_scorer
from .evaluate import PROMPTS, Judges, as_is, illusions
from .plan import Job

__all__ = ["PROMPTS", "Find", "Pairing", "check", "pairing", "search"]

Look = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Pairing:
    """What is made of a pair. figure: from the pair, how many samples and the stride. looks: how to see each reading,
    in the pair's order. ordered: whether a pair turned round is drawn too. source: the section that has its code."""

    name: str
    figure: Callable[[Sequence[str], int, int], Figure]
    looks: tuple[Look, Look]
    ordered: bool
    source: str

    def pairs(self, prompts: Sequence[str]) -> list[tuple[str, str]]:
        """All pairs of the prompts."""
        return list((itertools.permutations if self.ordered else itertools.combinations)(dict.fromkeys(prompts), 2))


@dataclass(frozen=True)
class Find:
    """A pair and what came of it. record: of its figure, whose panels lie in `folder`, each reading's samples in a row.
    samples: the judges' verdicts as `illusions` gives them, one a sample, best first."""

    pair: tuple[str, str]
    folder: Path
    record: dict[str, Any]
    samples: list[dict[str, Any]]


def pairing(view: str | None) -> Pairing:
    """Anagrams through the view of that name, or hybrids where there is none. Raises ViewError."""
    if view is None:
        return Pairing("hybrid", lambda pair, *how: single_figure.hybrids(*pair, *how), (low_pass, as_is), True, "1.9")
    return Pairing(
        view, lambda pair, *how: single_figure.anagrams(pair, [view], *how), (as_is, named(view)), False, "1.8"
    )


def check(prompts: Sequence[str]) -> None:
    """Raises ValueError, one line, for fewer than two prompts and for one that the judges cannot read."""
    if len(set(prompts)) < 2:
        raise ValueError("a search needs two prompts or more")
    for prompt in prompts:
        phrases = scorer.parse(prompt).phrases
        if not phrases:
            raise ValueError(f"{prompt!r} names nothing that a judge could look for")
        for phrase in phrases:
            scorer.number(phrase)


def judges() -> Judges:
    """The judges that were trained here. Raises ModelError where one was not; to train it takes minutes."""
    for name in train_scorer.JUDGES:
        if not train_scorer.is_kept(name):
            how = f"python -m generators.pocket.train_scorer {name}"
            raise models.ModelError(f"the judge {name!r} was not trained on this machine; `{how}` does it, in minutes")
    return Judges(*(train_scorer.load(name) for name in train_scorer.JUDGES))


def search(
    pairing: Pairing, prompts: Sequence[str], count: int, stride: int, model: str, kept: Path, observer: run.Observer
) -> list[Find]:
    """Draw `count` samples of every pair, have them judged, and return what was found, the best first.

    kept: the folder with what earlier searches have drawn. Raises ModelError.
    """
    panel = judges()
    digests = [models.digest(model), staleness.source_digest(pairing.source, model)]
    depends = [model, *digests, pairing.name, count, stride]
    pairs = pairing.pairs(prompts)

    def figure(pair: Sequence[str]) -> Figure:
        return pairing.figure(pair, count, stride)

    folders = [kept / hashlib.sha256(json.dumps([*depends, pair]).encode()).hexdigest()[:32] for pair in pairs]
    to_draw = [(pair, folder) for pair, folder in zip(pairs, folders, strict=True) if not folder.is_dir()]
    if to_draw:
        expected = len(to_draw) * single_figure.evaluations(figure(to_draw[0][0]))
        asks = [figure(pair) for pair in itertools.pairwise(dict.fromkeys(prompts))]
        drawing = single_figure.ready("search", f"{len(to_draw)} pairs of prompts", expected, asks, model, observer)
        for pair, folder in to_draw:
            _draw(drawing, figure(pair), folder)
    finds = [_judged(pairing, panel, pair, folder) for pair, folder in zip(pairs, folders, strict=True)]
    return sorted(finds, key=lambda find: (-find.samples[0]["alignment"], -find.samples[0]["concealment"]))


def _draw(model: Model, figure: Figure, folder: Path) -> None:
    """A pair's panels and record, put in place as a whole."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a search that was stopped
    part.mkdir(parents=True)
    (part / "record.json").write_text(json.dumps(single_figure.draw("search", figure, model, part)), encoding="utf-8")
    part.rename(folder)


def _judged(pairing: Pairing, panel: Judges, pair: tuple[str, str], folder: Path) -> Find:
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    panels = record["figures"][0]["panels"]
    own = [shown for shown in panels if shown["row"] == panels[0]["row"]]  # the pictures as they are
    images = torch.stack([_image(folder / shown["file"]) for shown in own])
    jobs = [Job(lambda: images, 0, {"pair": pair, "k": shown["case"]["k"]}) for shown in own]
    samples = illusions(panel, jobs, images, *pairing.looks)
    return Find(pair, folder, record, sorted(samples, key=lambda sample: -sample["alignment"]))


def _image(path: Path) -> Tensor:
    """The picture of a panel, (3, 64, 64) in -1 … 1."""
    with Image.open(path) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1
