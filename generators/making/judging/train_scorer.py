"""Trains the judges on drawings, saves them, and tests them on unseen ones.

python -m generators.making.judging.train_scorer gradients # trains if no judge is saved; resumes
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...diffusion.filters import low_pass
from ...records.errors import ModelError
from ..training import loop
from ..training.pool import as_images
from .judges import Gradients, Residual
from .scorer import PLACES, STYLES, Judge, Judges, names, recall, retrieval
from .scorer_pictures import AGAIN, IGNORED, USES, Lesson, Lessons, Pictures, tests

SMOOTHING, EMA = 0.1, 0.998


class Recipe(NamedTuple):
    """A judge's loop. sequence: the random sequence of its drawings. seed: of its initial weights."""

    build: Callable[[], Judge]
    sequence: int
    seed: int
    updates: int
    batch: int
    rate: float


JUDGES = {  # the first one judges, the second checks it
    "gradients": Recipe(Gradients, sequence=3, seed=43, updates=9000, batch=64, rate=1e-3),
    "residual": Recipe(Residual, sequence=2, seed=42, updates=9000, batch=32, rate=2e-3),
}


def loss(network: Callable[[Tensor], Any], batch: Lesson) -> Tensor:
    """Cross entropy of names, style and place."""
    _, name, style, place = (part.float().cpu() for part in network(batch.shown.float().to(loop.DEVICE)))
    shown = F.one_hot(batch.names, name.shape[1]).float().mean(1)
    named, styled, placed = (
        F.cross_entropy(logits, truth, ignore_index=IGNORED, label_smoothing=SMOOTHING)
        for logits, truth in ((name, shown), (style, batch.style), (place, batch.place))
    )
    return named + 0.3 * (styled + placed)


def train(name: str) -> Judge:
    """Trains a judge and saves it in `loop.CHECKPOINTS`; resumes an interrupted run.

    Takes six minutes of an otherwise idle core.
    """
    recipe = JUDGES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        judge = recipe.build().to(loop.DEVICE).train()
        # A run resumes only from a checkpoint of the same recipe.
        run = f"judge_{name}_{hashlib.sha256(_config(name).encode()).hexdigest()[:8]}"
        state = loop.load(run)
        learned = recipe.batch * state["update"] if state else 0
        lessons = Lessons(judge.prepare, recipe.sequence, learned // USES // AGAIN)

        def loss_of(network: Callable[[Tensor], Any], rng: torch.Generator) -> Tensor:
            return loss(network, lessons.batch(recipe.batch, rng))

        optimizers = [loop.adamw(judge.parameters(), recipe.rate)]
        loop.fit(run, judge, loss_of, optimizers, recipe.updates, EMA)
    folder = loop.CHECKPOINTS
    weights = judge.cpu().state_dict()
    save_file({key: value.contiguous() for key, value in weights.items()}, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(_config(name), encoding="utf-8")
    for checkpoint in folder.glob(f"{run}.*"):
        checkpoint.unlink()
    return judge.eval()


def digest(name: str) -> str:
    """Returns the sha256 over the saved judge's weights."""
    return hashlib.sha256((loop.CHECKPOINTS / f"{name}.safetensors").read_bytes()).hexdigest()


def _config(name: str) -> str:
    """Returns the recipe of a saved judge as JSON."""
    recipe = JUDGES[name]._asdict() | {"build": JUDGES[name].build.__name__}
    config = recipe | {"smoothing": SMOOTHING, "names": names(), "styles": STYLES, "places": PLACES}
    return json.dumps(config, indent=1) + "\n"


def is_kept(name: str) -> bool:
    """Whether the judge was trained here, and as it would be now."""
    config = loop.CHECKPOINTS / f"{name}.json"
    return config.exists() and config.read_text(encoding="utf-8") == _config(name)


def load(name: str) -> Judge:
    """Loads the saved judge; trains it first if there is none, or one of another recipe."""
    if not is_kept(name):
        return train(name)
    judge = JUDGES[name].build()
    judge.load_state_dict(load_file(loop.CHECKPOINTS / f"{name}.safetensors"))
    return judge.eval()


def judges() -> Judges:
    """Loads both judges. Raises ModelError if one has not been trained on this machine."""
    for name in JUDGES:
        if not is_kept(name):
            how = f"python -m generators.making.judging.train_scorer {name}"
            raise ModelError(f"the judge {name!r} is not trained on this machine; `{how}` trains it in minutes")
    return Judges(*map(load, JUDGES))


def accuracy(judge: Judge, pictures: Pictures, images: Tensor) -> dict[str, float]:
    """Returns R@1 and R@5 among all names, and the shares of right styles and places, of the pictures' images."""
    seen = judge.see(images)
    prompts = [" and ".join(names()[n][0] for n in dict.fromkeys(pair)) for pair in pictures.names.tolist()]
    ranks = retrieval(seen.names, prompts)
    return {
        "n": len(ranks),
        "R@1": recall(ranks, 1),
        "R@5": recall(ranks, 5),
        "style": (seen.style.argmax(-1) == pictures.style).float().mean().item(),
        "place": (seen.place.argmax(-1) == pictures.place).float().mean().item(),
    }


def held_out(judge: Judge, lots: dict[str, Pictures]) -> dict[str, dict[str, float]]:
    """Returns the accuracy on the lots of `scorer_pictures.tests`, with icons split by style, and low-passed."""
    tested = {
        f"icons, {style.removesuffix(' of') or 'plain'}": lots["icons"].at(lots["icons"].style == number)
        for number, style in enumerate(STYLES)
    } | {lot: some for lot, some in lots.items() if lot != "icons"}
    found = {lot: accuracy(judge, some, as_images(some.rgb)) for lot, some in tested.items()}
    afar = torch.stack([low_pass(image) for image in as_images(lots["icons"].rgb)])
    return found | {"icons, all styles, low-passed": accuracy(judge, lots["icons"], afar)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a judge where none is kept, and test it.")
    parser.add_argument("judge", choices=JUDGES)
    name = parser.parse_args().judge
    for lot, found in held_out(load(name), tests()).items():
        print(f"{lot:30}", "  ".join(f"{key} {value:.3g}" for key, value in found.items()))


if __name__ == "__main__":
    main()
