"""Trains a judge on drawings, writes it into weights/, and tests it on drawings that it has not seen.

python -m generators.making.judging.train gradients # six minutes of an otherwise idle core, residual twelve; resumes
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..training import loop
from . import shipped
from .accuracy import print_table
from .examples import AUGMENTATIONS, IGNORED, USES, ExamplePool, Examples
from .labelled import vocabulary

SMOOTHING, EMA = 0.1, 0.998


class Recipe(NamedTuple):
    """How a judge is trained.

    width: of its network. sequence: the random sequence of its drawings. seed: of its initial weights. batch: examples
    in each of so many updates. rate: the peak of AdamW's learning rate.
    """

    width: int
    sequence: int
    seed: int
    updates: int
    batch: int
    rate: float


RECIPES = {
    "gradients": Recipe(width=512, sequence=3, seed=43, updates=9000, batch=64, rate=1e-3),
    "residual": Recipe(width=24, sequence=2, seed=42, updates=18_000, batch=32, rate=2e-3),
}


def config(name: str) -> dict[str, Any]:
    """Returns all settings of a judge's training, as they are recorded in its file."""
    return {**RECIPES[name]._asdict(), "smoothing": SMOOTHING, "ema": EMA}


def loss(network: Callable[[Tensor], Any], batch: Examples) -> Tensor:
    """Cross entropy of names, style and place."""
    _, name, style, place = (part.float().cpu() for part in network(batch.inputs.float().to(loop.DEVICE)))
    shown = F.one_hot(batch.names, name.shape[1]).float().mean(1)
    of_name, of_style, of_place = (
        F.cross_entropy(logits, truth, ignore_index=IGNORED, label_smoothing=SMOOTHING)
        for logits, truth in ((name, shown), (style, batch.style), (place, batch.place))
    )
    return of_name + 0.3 * (of_style + of_place)


def train(name: str) -> None:
    """Trains a judge and writes its shipped file. Resumes an interrupted run of the same recipe."""
    recipe = RECIPES[name]
    described = json.dumps([config(name), dataclasses.asdict(vocabulary())])
    run = f"judge_{name}_{hashlib.sha256(described.encode()).hexdigest()[:8]}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        judge = shipped.NETWORKS[name](vocabulary(), recipe.width).to(loop.DEVICE).train()
        state = loop.load_checkpoint(run)
        learned = recipe.batch * state["update"] if state else 0
        pool = ExamplePool(judge.prepare, recipe.sequence, learned // USES // AUGMENTATIONS)

        def loss_of(network: Callable[[Tensor], Any], rng: torch.Generator) -> Tensor:
            return loss(network, pool.batch(recipe.batch, rng))

        optimizers = [loop.adamw(judge.parameters(), recipe.rate)]
        loop.fit(run, judge, loss_of, optimizers, recipe.updates, EMA)
    shipped.save(name, judge.cpu(), config(name))
    for checkpoint in loop.CHECKPOINTS.glob(f"{run}.*"):
        checkpoint.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a judge and test it.")
    parser.add_argument("judge", choices=RECIPES)
    name = parser.parse_args().judge
    train(name)
    print_table(name)


if __name__ == "__main__":
    main()
