"""Packs pocket's training for a machine with a GPU, and brings the result back.

    python -m generators.making.training.bundle pack FOLDER                        # here: weights, captions, pictures
    python -m generators.making.training.bundle train FOLDER stage_1 --minutes 9   # there, with this repository
    python -m generators.making.training.bundle unpack FOLDER                      # here: takes over what was trained

There, torch, diffusers, greenlet, scipy and platformdirs are enough for stage 1, and training uses only the pictures of
the bundle. If resvg_py is installed too, half of its cores draw new pictures continuously, and stages 2 and 3 can be
trained as well. The text encoder stays here: its tokens are in the bundle. The returned files have at most 16 MB each.
Here, stage 1 becomes the checkpoint, with new optimisers; stages 2 and 3 come back as finished networks.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from os import cpu_count
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...models.base import schedule_of
from ...models.pocket import minilm, patches
from ...models.pocket.cascade import scheduler
from . import later_stages
from .loop import DEVICE, TRAINED, encode_captions, fit, load_checkpoint, load_shipped, save_checkpoint
from .pool import TRAINING, Picture, Pool, drawing, picture_64, validation_set
from .stage_1 import EMA, UPDATES, VALIDATION_SIZE, objective, optimizers, untrained, validation_errors

PICTURES = 1500  # pictures in the bundle, about 4.5 KB each
CAPTIONED = 20_000  # drawings whose captions are in the bundle
USES = 24  # average uses of a picture on a GPU
SCALE, LARGER = 16, 32  # factors on the batch of stage 1, and on that of stages 2 and 3, on a GPU


def pack(folder: Path, pictures: int = PICTURES, captioned: int = CAPTIONED) -> None:
    """Writes the bundle, at most 60 MB."""
    if (state := load_checkpoint("stage_1")) is None:
        load_shipped(network := untrained(), "transformer")
        state = {"average": network.state_dict(), "update": 0, "core_seconds": 0.0}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.half() for key, value in state["average"].items()}, folder / "average.safetensors")
    some = [picture for number in range(pictures) for picture in picture_64(number, TRAINING)]
    drawn = {caption for number in range(captioned) for caption in drawing(number, TRAINING)[0].captions}
    vocabulary = sorted({"", *drawn, *(caption for picture in some for caption in picture.captions)})
    tokens = encode_captions(vocabulary).cpu().half()
    lengths = (tokens != 0).any(-1).sum(-1)
    save_file({"tokens": tokens[(tokens != 0).any(-1)], "lengths": lengths}, folder / "tokens.safetensors")
    np.savez_compressed(folder / "pictures.npz", rgb=torch.stack([picture.rgb for picture in some]).numpy())
    manifest = {"update": state["update"], "core_seconds": state["core_seconds"], "vocabulary": vocabulary}
    manifest["captions"] = [picture.captions for picture in some]
    (folder / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")


def encoder(folder: Path) -> Callable[[list[str]], Tensor]:
    """Returns a replacement for `loop.encode_captions` that knows a bundle's captions; any other counts as dropped."""
    vocabulary = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))["vocabulary"]
    stored = load_file(folder / "tokens.safetensors")
    table = torch.zeros(len(vocabulary), minilm.TOKENS, minilm.WIDTH)
    for row, some in enumerate(stored["tokens"].split(stored["lengths"].tolist())):
        table[row, : len(some)] = some
    table, rows = table.to(DEVICE), {caption: row for row, caption in enumerate(vocabulary)}
    return lambda captions: table[[rows.get(caption, rows[""]) for caption in captions]]


def train_stage_1(folder: Path, encode: Callable[[list[str]], Tensor], minutes: float) -> None:
    """Continues the training of the bundle's stage 1, with larger batches, and writes the result into the folder."""
    manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    network, abar, validate = untrained(), scheduler().alphas_cumprod, None
    average = {key: value.float() for key, value in load_file(folder / "average.safetensors").items()}
    weights = {"network": average, "average": average}
    made = {key: manifest[key] for key in ("update", "core_seconds")}
    save_checkpoint("stage_1", {**weights, "optimizers": [one.state_dict() for one in optimizers(network)], **made})
    if find_spec("resvg_py"):
        workers = max(1, (cpu_count() or 1) // 2)  # the others are free to feed the GPU
        pool = Pool(picture_64, 16_384, uses=USES, first=1_000_000 + manifest["update"], workers=workers)
        x0, first_captions = validation_set(VALIDATION_SIZE)
        validate = partial(validation_errors, x0=x0, tokens=encode(first_captions), abar=abar)
    else:
        rgb = torch.from_numpy(np.load(folder / "pictures.npz")["rgb"])
        captions = [tuple(some) for some in manifest["captions"]]
        pictures = [Picture(*each) for each in zip(rgb, captions, strict=True)]
        pool = Pool(lambda number: [pictures[number % len(pictures)]], len(pictures), 1, workers=0)
    fit("stage_1", network, objective(pool, encode, abar, SCALE), optimizers(network), UPDATES, EMA, validate, minutes)
    state = load_checkpoint("stage_1")
    assert state
    for part in ("network", "average"):
        network.load_state_dict(state[part])
        network.half().save_pretrained(folder / "trained" / part, max_shard_size="16MB")
        network.float()
    manifest = {key: state[key] for key in ("update", "core_seconds")}
    (folder / "trained" / "trained.json").write_text(json.dumps(manifest), encoding="utf-8")


def train(folder: Path, stage: str, minutes: float) -> None:
    """Trains a stage for so many minutes and writes the result into the folder."""
    torch.set_float32_matmul_precision("high")
    encode = encoder(folder)
    if stage == "stage_1":
        return train_stage_1(folder, encode, minutes)
    schedule, trained = schedule_of(scheduler()), folder / "trained" / stage
    if stage == "stage_2":
        network = later_stages.train_stage_2(schedule, UPDATES, encode, LARGER, minutes)
    else:
        network = later_stages.train_stage_3(schedule, UPDATES, LARGER, minutes)
    network.half().save_pretrained(trained)  # type: ignore[operator]


def unpack(folder: Path) -> None:
    """Takes over the results of training elsewhere: stage 1 as its checkpoint, with the previous one as backup; stages
    2 and 3 as finished networks, where `make pocket` writes its own. Raises SystemExit if there is none."""
    trained, stages = folder / "trained", [f"stage_{k}" for k in (2, 3) if (folder / f"trained/stage_{k}").is_dir()]
    for stage in stages:
        shutil.copytree(trained / stage, TRAINED / stage, dirs_exist_ok=True)
    if (path := trained / "trained.json").is_file():
        manifest = json.loads(path.read_text(encoding="utf-8"))
        weights = {part: patches.load(trained / part).state_dict() for part in ("network", "average")}
        states = [one.state_dict() for one in optimizers(untrained())]
        save_checkpoint("stage_1", {**weights, "optimizers": states, **manifest})
    elif not stages:
        raise SystemExit(f"{trained}: nothing was trained there; first run `bundle train {folder} STAGE` there")


def main() -> None:
    parser = argparse.ArgumentParser(description="Carry pocket's training to another machine and back.")
    parser.add_argument("what", choices=("pack", "train", "unpack"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("stage", nargs="?", choices=("stage_1", "stage_2", "stage_3"), default="stage_1")
    parser.add_argument("--minutes", type=float, default=9, help="how long to train")
    options = parser.parse_args()
    match options.what:
        case "pack":
            pack(options.folder)
        case "train":
            train(options.folder, options.stage, options.minutes)
        case _:
            unpack(options.folder)


if __name__ == "__main__":
    main()
