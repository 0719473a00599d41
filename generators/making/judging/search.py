"""Searches for pairs of prompts that make an illusion: draws samples of every pair and scores them by pocket's judges.

The first judge ranks the samples by alignment, the score of the worse reading. Concealment, how well the readings can
be distinguished, breaks ties between pairs (scores.py defines both). The second judge's ranks are only reported.

Each pair's drawing is kept in a folder named by the digest of its dependencies. An interrupted search therefore
resumes, and a search with more prompts draws only the new pairs.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ... import models, pictures
from ...diffusion.views import named
from ...figures import Section
from ...readings import HYBRIDS
from ...records.record import read_drawn
from ...running import staleness
from ...running.cost import Cost
from ...running.session import Observer, Session, prepare, workload
from .judge import Judges
from .scores import score_readings
from .vocabulary import Vocabulary


@dataclass(frozen=True)
class Pairing:
    """A kind of illusion made from two prompts.

    declare: declares it from the pair, the number of samples and the stride. definition: of what it is declared with. A
    change of what that reaches outdates its drawings. ordered: whether (a, b) and (b, a) differ.
    """

    name: str
    declare: Callable[[Sequence[str], int, int], Section]
    definition: str
    ordered: bool

    def pairs(self, prompts: Sequence[str]) -> list[tuple[str, str]]:
        """Returns all pairs of distinct prompts: both orders if `ordered`, otherwise one."""
        return list((itertools.permutations if self.ordered else itertools.combinations)(dict.fromkeys(prompts), 2))


@dataclass(frozen=True)
class Result:
    """The result for one pair.

    record: of its figure, with one row of samples for each reading; the panels are in `folder`. samples: each sample's
    `score_readings`, with its number k, best first.
    """

    pair: tuple[str, str]
    folder: Path
    record: dict[str, Any]
    samples: list[dict[str, Any]]


def pairing(name: str) -> Pairing:
    """Returns the pairing for a key of `readings.HYBRIDS`, or for anagrams with the view of that name. Raises
    ViewError."""
    if name in HYBRIDS:
        hybrids = "generators.pictures:hybrids"
        return Pairing(name, lambda pair, *how: pictures.hybrids(name, *pair, *how), hybrids, ordered=True)
    named(name)
    anagrams = "generators.pictures:anagrams"
    return Pairing(name, lambda pair, *how: pictures.anagrams(pair, [name], *how), anagrams, ordered=False)


def check(prompts: Sequence[str], vocabulary: Vocabulary) -> None:
    """Raises ValueError, one line, for fewer than two distinct prompts and for a prompt unknown to the judges."""
    if len(set(prompts)) < 2:
        raise ValueError("a search needs at least two different prompts")
    for prompt in prompts:
        names = vocabulary.parse(prompt).names
        if not names:
            raise ValueError(f"{prompt!r} names nothing that the judges can recognise")
        for name in names:
            vocabulary.number(name)


def search(
    judges: Judges,
    pairing: Pairing,
    prompts: Sequence[str],
    count: int,
    stride: int,
    model: str,
    kept: Path,
    observer: Observer,
) -> list[Result]:
    """Draws `count` samples of every pair, scores them, and returns the results, best pair first.

    kept: the folder with the drawings of earlier searches, which are reused. Raises ModelError or DrawingError.
    """
    depends = [model, models.digest(model), staleness.digest_of(pairing.definition, model), pairing.name, count, stride]
    pairs = pairing.pairs(prompts)

    def declare(pair: Sequence[str]) -> Section:
        return pairing.declare(pair, count, stride)

    folders = [kept / hashlib.sha256(json.dumps([*depends, pair]).encode()).hexdigest()[:32] for pair in pairs]
    to_draw = [(pair, folder) for pair, folder in zip(pairs, folders, strict=True) if not folder.is_dir()]
    if to_draw:
        expected = Cost(len(to_draw) * workload([declare(to_draw[0][0])]).first)
        observer.begin({"search": ("requested", expected)})
        # Every prompt, in few pairs.
        prepare(model, map(declare, itertools.pairwise(dict.fromkeys(prompts))), observer.planned)
        session = Session(models.load(model), observer)
        observer.section("search", f"{len(to_draw)} pairs of prompts")
        for pair, folder in to_draw:
            session.draw(declare(pair), folder, {"id": "search", "source": "report search"})
    results = [_scored(judges, pair, folder) for pair, folder in zip(pairs, folders, strict=True)]
    return sorted(results, key=lambda result: (-result.samples[0]["alignment"], -result.samples[0]["concealment"]))


def _scored(judges: Judges, pair: tuple[str, str], folder: Path) -> Result:
    """Scores the drawing of a pair, each sample by its panels, one for each reading."""
    record = read_drawn(folder)
    assert record, folder
    panels_of: dict[int, list[dict[str, Any]]] = {}
    for panel in record["figures"][0]["panels"]:
        panels_of.setdefault(panel["case"]["k"], []).append(panel)
    samples = []
    for k, panels in panels_of.items():
        views = torch.stack([_image(folder / panel["file"]) for panel in panels])
        samples.append({"k": k, **score_readings(judges, views, [panel["case"]["prompt"] for panel in panels])})
    return Result(pair, folder, record, sorted(samples, key=lambda sample: -sample["alignment"]))


def _image(path: Path) -> Tensor:
    """Reads the picture of a panel, (3, 64, 64) in -1 … 1."""
    with Image.open(path) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1
