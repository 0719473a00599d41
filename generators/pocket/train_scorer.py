"""Trains the scorer on real pictures, keeps it, and says how good it is on those that it has not seen.

python -m generators.pocket.train_scorer        # trains where none is kept
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..diffusion.filters import low_pass
from .progress import Progress
from .scorer import PLACES, STYLES, Scorer, names, recall, sentences_of
from .scorer_pictures import FOLDER, Pictures, as_images, augmented, pictures

SEED, EPOCHS, BATCH, RATE, SMOOTHING = 42, 24, 32, 2e-3, 0.1


def fit(train: Pictures, epochs: int = EPOCHS, checkpoint: Path | None = None) -> Scorer:
    """A scorer that has learned from these pictures in so many passes. The seed is pinned.

    With a checkpoint, each pass is kept there, and a run that was killed goes on from the last.
    """
    phrases = [phrase for phrases in names() for phrase in phrases]
    first = torch.tensor([phrases.index(own) for own, *_ in names()])
    count = torch.tensor([len(synonyms) for synonyms in names()])
    vectors = sentences_of(phrases)
    centre = vectors[first].mean(0)
    vectors = F.normalize(vectors - centre, dim=-1)
    batches = -(-len(train.rgb) // BATCH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        scorer = Scorer(len(names())).train()
        scorer.centre.copy_(centre)
        scorer.sentences.copy_(vectors[first])
        optimizer = torch.optim.AdamW(scorer.parameters(), lr=RATE, weight_decay=0.05)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * batches, pct_start=0.2)
        done = 0
        parts: dict[str, Any] = {"scorer": scorer, "optimizer": optimizer, "rates": rates}
        if checkpoint and checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True)
            if state["config"] == _config():
                done = state["done"]
                for name, part in parts.items():
                    part.load_state_dict(state[name])
        progress = Progress("scorer", (epochs - done) * batches)
        for epoch in range(done, epochs):
            generator = torch.manual_seed(SEED + epoch)
            for index in torch.randperm(len(train.rgb), generator=generator).split(BATCH):
                batch = train.at(index)
                spoken = first + (torch.rand(len(first), generator=generator) * count).long()  # a synonym of each name
                loss = _loss(scorer, batch, augmented(as_images(batch.rgb), generator), vectors[spoken])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rates.step()
                progress.step(f"loss {loss.item():.3f}")
            if checkpoint:
                state = {name: part.state_dict() for name, part in parts.items()}
                torch.save({**state, "config": _config(), "done": epoch + 1}, checkpoint.with_suffix(".part"))
                checkpoint.with_suffix(".part").replace(checkpoint)
    return scorer.eval()


def _loss(scorer: Scorer, batch: Pictures, images: Tensor, sentences: Tensor) -> Tensor:
    """Cross entropy of the names, of the style and of the place; sentences (G, 384): what each name is called here."""
    with torch.autocast("cpu", torch.bfloat16):
        seen = scorer(images)
    target = F.one_hot(batch.names, len(sentences)).float().mean(1)
    logits = scorer.scale.exp() * seen.sentence @ sentences.T
    named = F.cross_entropy(logits, target, label_smoothing=SMOOTHING)
    styled = F.cross_entropy(seen.style, batch.style, label_smoothing=SMOOTHING)
    placed = F.cross_entropy(seen.place, batch.place, label_smoothing=SMOOTHING)
    return named + 0.3 * (styled + placed)


def train() -> Scorer:
    """Train the scorer on the real pictures and keep it. Minutes on two cores; needs the icon packages once."""
    shown = pictures()["train"]
    checkpoint = FOLDER / "checkpoint.pt"
    scorer = fit(shown, checkpoint=checkpoint)
    save_file({name: value.contiguous() for name, value in scorer.state_dict().items()}, FOLDER / "scorer.safetensors")
    (FOLDER / "config.json").write_text(_config(), encoding="utf-8")
    checkpoint.unlink()
    return scorer


def digest() -> str:
    """sha256 over the weights of the scorer that is kept."""
    return hashlib.sha256((FOLDER / "scorer.safetensors").read_bytes()).hexdigest()


def _config() -> str:
    """What a scorer that is kept was trained for and how, as JSON."""
    config = {
        "seed": SEED, "epochs": EPOCHS, "batch": BATCH, "rate": RATE, "smoothing": SMOOTHING,
        "names": names(), "styles": STYLES, "places": PLACES,
    }  # fmt: skip
    return json.dumps(config, indent=1) + "\n"


def load() -> Scorer:
    """The scorer that is kept; trained first where there is none, or one that was trained otherwise."""
    config = FOLDER / "config.json"
    if not config.exists() or config.read_text(encoding="utf-8") != _config():
        return train()
    scorer = Scorer(len(names()))
    scorer.load_state_dict(load_file(FOLDER / "scorer.safetensors"))
    return scorer.eval()


def accuracy(scorer: Scorer, pictures: Pictures, images: Tensor) -> dict[str, float]:
    """R@1 and R@5 among all the names, and the share of styles and places that are right, of the pictures' images."""
    seen = scorer.see(images)
    prompts = [" and ".join(names()[n][0] for n in dict.fromkeys(pair)) for pair in pictures.names.tolist()]
    ranks = scorer.retrieval(images, prompts)
    return {
        "n": len(ranks),
        "R@1": recall(ranks, 1),
        "R@5": recall(ranks, 5),
        "style": (seen.style.argmax(-1) == pictures.style).float().mean().item(),
        "place": (seen.place.argmax(-1) == pictures.place).float().mean().item(),
    }


def held_out(scorer: Scorer) -> dict[str, dict[str, float]]:
    """The accuracy on real pictures that the scorer has not seen: the held-out icons in each style, and the rest."""
    lots = pictures()
    tested = {
        f"icons, {style.removesuffix(' of') or 'plain'}": lots["icons"].at(lots["icons"].style == number)
        for number, style in enumerate(STYLES)
    } | {lot: lots[lot] for lot in ("scenes", "places", "pairs")}
    found = {lot: accuracy(scorer, some, as_images(some.rgb)) for lot, some in tested.items()}
    afar = torch.stack([low_pass(image) for image in as_images(lots["icons"].rgb)])
    return found | {"icons, all styles, low-passed": accuracy(scorer, lots["icons"], afar)}


def main() -> None:
    for lot, found in held_out(load()).items():
        print(f"{lot:28}", "  ".join(f"{name} {value:.3g}" for name, value in found.items()))


if __name__ == "__main__":
    main()
