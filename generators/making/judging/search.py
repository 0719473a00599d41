"""Searches for pairs of prompts that make an illusion: draws samples of every pair and scores them by pocket's judges.

The first judge ranks the samples by alignment, the score of the worse reading. Concealment, how well the readings can
be distinguished, breaks ties between pairs (readings.py defines both). The second judge's ranks are only reported.

Each pair's drawing is kept in a folder named by the digest of its dependencies. An interrupted search therefore
resumes, and a search with more prompts draws only the new pairs.
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

from ... import models
from ...diffusion.views import named
from ...figures import Figure
from ...models.base import Model
from ...running import run, single_figure, staleness
from .judge import Judges
from .readings import score_readings
from .vocabulary import Vocabulary

DRAWN_ALIKE = ("1.8", "1.9")  # sections that draw as a search does; a change of their source outdates its drawings


@dataclass(frozen=True)
class Pairing:
    """A kind of illusion made from two prompts.

    figure: declares it from the pair, the number of samples and the stride. ordered: whether (a, b) and (b, a) differ.
    """

    name: str
    figure: Callable[[Sequence[str], int, int], Figure]
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
    """Returns the pairing for a key of `single_figure.HYBRIDS`, or for anagrams with the view of that name.

    Raises ViewError.
    """
    if name in single_figure.HYBRIDS:
        return Pairing(name, lambda pair, *how: single_figure.hybrids(name, *pair, *how), True)
    named(name)
    return Pairing(name, lambda pair, *how: single_figure.anagrams(pair, [name], *how), False)


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
    observer: run.Observer,
) -> list[Result]:
    """Draws `count` samples of every pair, scores them, and returns the results, best pair first.

    kept: the folder with the drawings of earlier searches, which are reused. Raises ModelError or DrawingError.
    """
    digests = [models.digest(model), *(staleness.source_digest(section, model) for section in DRAWN_ALIKE)]
    depends = [model, *digests, pairing.name, count, stride]
    pairs = pairing.pairs(prompts)

    def figure(pair: Sequence[str]) -> Figure:
        return pairing.figure(pair, count, stride)

    folders = [kept / hashlib.sha256(json.dumps([*depends, pair]).encode()).hexdigest()[:32] for pair in pairs]
    to_draw = [(pair, folder) for pair, folder in zip(pairs, folders, strict=True) if not folder.is_dir()]
    if to_draw:
        expected = len(to_draw) * single_figure.evaluations(figure(to_draw[0][0]))
        covering = [figure(pair) for pair in itertools.pairwise(dict.fromkeys(prompts))]  # every prompt, in few pairs
        drawing = single_figure.ready("search", f"{len(to_draw)} pairs of prompts", expected, covering, model, observer)
        for pair, folder in to_draw:
            _draw(drawing, figure(pair), folder)
    results = [_scored(judges, pair, folder) for pair, folder in zip(pairs, folders, strict=True)]
    return sorted(results, key=lambda result: (-result.samples[0]["alignment"], -result.samples[0]["concealment"]))


def _draw(model: Model, figure: Figure, folder: Path) -> None:
    """Draws a pair's panels and record into a temporary folder and renames it, so that `folder` is always complete."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of an interrupted search
    part.mkdir(parents=True)
    (part / "record.json").write_text(json.dumps(single_figure.draw("search", figure, model, part)), encoding="utf-8")
    part.rename(folder)


def _scored(judges: Judges, pair: tuple[str, str], folder: Path) -> Result:
    """Scores the drawing of a pair, each sample by its panels, one for each reading."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
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
