"""Packs stage 1's training for a machine with a GPU, and brings the result back.

    python -m generators.pocket.bundle pack FOLDER                 # here: weights, captions, a sample of the pictures
    python -m generators.pocket.bundle train FOLDER --minutes 9    # there, with this repository, torch and diffusers
    python -m generators.pocket.bundle unpack FOLDER               # here: the result becomes the checkpoint

If resvg_py is installed there too, all its cores draw new pictures continuously; otherwise training uses only the
sample. The text encoder stays here: its tokens are in the bundle. The returned files have at most 16 MB each; the
optimisers restart from the averaged weights.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..models import minilm, patches
from ..models.pocket import scheduler
from .pool import TRAINING, Picture, Pool, small
from .train_stage_1 import EMA, UPDATES, objective, optimizers, trainable
from .training import DEVICE, encoded, fit, load, save, start

PICTURES = 2000  # pictures in the sample, about 4.5 KB each
SCALE = 16  # factor on the batch size on a GPU


def pack(folder: Path, pictures: int = PICTURES) -> None:
    """Writes the bundle, at most 60 MB."""
    if (state := load("stage_1")) is None:
        start(network := trainable(), "transformer")
        state = {"average": network.state_dict(), "update": 0, "core_seconds": 0.0}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.half() for key, value in state["average"].items()}, folder / "average.safetensors")
    some = [picture for number in range(pictures) for picture in small(number, TRAINING)]
    vocabulary = sorted({"", *(caption for picture in some for caption in picture.captions)})
    tokens = encoded(vocabulary).cpu().half()
    lengths = (tokens != 0).any(-1).sum(-1)
    save_file({"tokens": tokens[(tokens != 0).any(-1)], "lengths": lengths}, folder / "tokens.safetensors")
    np.savez_compressed(folder / "pictures.npz", rgb=torch.stack([picture.rgb for picture in some]).numpy())
    manifest = {"update": state["update"], "core_seconds": state["core_seconds"], "vocabulary": vocabulary}
    manifest["captions"] = [picture.captions for picture in some]
    (folder / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")


def encoder(folder: Path, vocabulary: list[str]) -> Callable[[list[str]], Tensor]:
    """Returns a replacement for `training.encoded` that knows a bundle's captions; any other counts as dropped."""
    stored = load_file(folder / "tokens.safetensors")
    table = torch.zeros(len(vocabulary), minilm.TOKENS, minilm.WIDTH)
    for row, some in enumerate(stored["tokens"].split(stored["lengths"].tolist())):
        table[row, : len(some)] = some
    table, rows = table.to(DEVICE), {caption: row for row, caption in enumerate(vocabulary)}
    return lambda captions: table[[rows.get(caption, rows[""]) for caption in captions]]


def train(folder: Path, minutes: float) -> None:
    """Continues the bundle's training for so many minutes and writes the result into the folder."""
    until = time.monotonic() + 60 * minutes
    manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    network = trainable()
    average = {key: value.float() for key, value in load_file(folder / "average.safetensors").items()}
    weights = {"network": average, "average": average}
    made = {key: manifest[key] for key in ("update", "core_seconds")}
    save("stage_1", {**weights, "optimizers": [one.state_dict() for one in optimizers(network)], **made})
    if find_spec("resvg_py"):
        pool = Pool(small, 16_384, uses=SCALE, first=1_000_000 + manifest["update"], workers=cpu_count() or 1)
    else:
        rgb = torch.from_numpy(np.load(folder / "pictures.npz")["rgb"])
        said = [tuple(captions) for captions in manifest["captions"]]
        pool = Pool(lambda number: [Picture(rgb[number % len(rgb)], said[number % len(rgb)])], len(rgb), 1, workers=0)
    draw = objective(pool, encoder(folder, manifest["vocabulary"]), scheduler().alphas_cumprod, SCALE)

    def loss_of(network: Callable[..., Any], rng: torch.Generator) -> Tensor:
        if time.monotonic() > until:
            raise KeyboardInterrupt
        return draw(network, rng)

    try:
        fit("stage_1", network, loss_of, optimizers(network), UPDATES, EMA)
    except KeyboardInterrupt:
        print("the time is up", flush=True)
    state = load("stage_1")
    assert state
    for part in ("network", "average"):
        network.load_state_dict(state[part])
        network.half().save_pretrained(folder / "trained" / part, max_shard_size="16MB")
        network.float()
    manifest = {key: state[key] for key in ("update", "core_seconds")}
    (folder / "trained" / "trained.json").write_text(json.dumps(manifest), encoding="utf-8")


def unpack(folder: Path) -> None:
    """Makes the result of training elsewhere stage 1's checkpoint; the previous one is kept as backup."""
    trained = folder / "trained"
    manifest = json.loads((trained / "trained.json").read_text(encoding="utf-8"))
    weights = {part: patches.load(trained / part).state_dict() for part in ("network", "average")}
    save("stage_1", {**weights, "optimizers": [one.state_dict() for one in optimizers(trainable())], **manifest})


def main() -> None:
    parser = argparse.ArgumentParser(description="Carry stage 1's training to another machine and back.")
    parser.add_argument("what", choices=("pack", "train", "unpack"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=9, help="how long to train")
    options = parser.parse_args()
    match options.what:
        case "pack":
            pack(options.folder)
        case "train":
            train(options.folder, options.minutes)
        case _:
            unpack(options.folder)


if __name__ == "__main__":
    main()
