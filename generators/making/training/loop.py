"""Shared by pocket's training scripts: the training loop, averaged weights, and checkpoints to resume from.

Training resumes from its last checkpoint; without one it starts from the weights that ship.
"""

from __future__ import annotations

import json
import math
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from operator import methodcaller
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ... import models
from ...models.pocket import minilm

try:
    from platformdirs import user_state_path
except ModuleNotFoundError:
    raise SystemExit(
        "pocket: the package platformdirs is not installed; training needs it: pip install -e '.[train]'"
    ) from None

# Outside the work tree, so that a merge or `git clean` cannot delete days of training.
CHECKPOINTS = user_state_path("diffusion-report") / "pocket"
TRAINED = CHECKPOINTS / "weights"  # finished networks, as diffusers saves them
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SEED, WARMUP = 42, 100
REPORT, SAVE = 60, 300  # seconds between lines of progress, and between checkpoints
VALIDATE_EVERY = 1000  # updates between evaluations of the held-out error
DECAY = 0.5  # the last share of the training, in which the learning rate falls


def adamw(parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    """Returns AdamW (Loshchilov and Hutter 2019) with the settings of all of pocket's networks."""
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)


def learning_rate(update: int, share: float) -> float:
    """Returns the factor of the learning rate: warm-up over the run's first updates, constant, then linear decay to
    0.02. update: of this run, from 0. share: of the whole training that is done, 0 … 1."""
    return min(1.0, (update + 1) / WARMUP) * max(0.02, min(1.0, (1 - share) / DECAY))


@cache
def _encoded(caption: str) -> Tensor:
    return minilm.encode([caption])[0][0].half()  # float16, because there are about ten thousand captions


def encode_captions(captions: Sequence[str]) -> Tensor:
    """Returns minilm's tokens of the captions, (N, 17, 384), on DEVICE; encodes each caption once."""
    return torch.stack([_encoded(caption) for caption in captions]).float().to(DEVICE)


def load_shipped(network: nn.Module, part: str) -> None:
    """Loads the weights that ship, those of the folder weights/`part`, into the network."""
    files = sorted((models.SHIPPED / part).glob("*.safetensors"))
    network.load_state_dict({key: value for file in files for key, value in load_file(file).items()})


def load_checkpoint(name: str) -> dict[str, Any] | None:
    """Loads the last checkpoint of that name, or the previous one if that is unreadable; None if there is none."""
    for path in (CHECKPOINTS / f"{name}.pt", CHECKPOINTS / f"{name}.previous.pt"):
        try:
            return torch.load(path, map_location=DEVICE, weights_only=True)
        except FileNotFoundError:
            continue
        except (RuntimeError, EOFError, OSError) as error:
            print(f"{path}: cannot be read ({str(error).splitlines()[0]}); trying the previous one", flush=True)
    return None


def save_checkpoint(name: str, state: dict[str, Any]) -> None:
    """Writes a checkpoint and keeps the last one as the previous one; a kill at any time leaves a complete one."""
    CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    part, path = CHECKPOINTS / f"{name}.part", CHECKPOINTS / f"{name}.pt"
    torch.save(state, part)
    if path.exists():
        path.replace(CHECKPOINTS / f"{name}.previous.pt")
    part.replace(path)


def fit(
    name: str,
    network: nn.Module,
    loss_of: Callable[[Callable[..., Any], torch.Generator], Tensor],
    optimizers: Sequence[torch.optim.Optimizer],
    updates: int,
    ema: float,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    minutes: float = math.inf,
) -> None:
    """Trains the network up to `updates` updates, including those of earlier runs, and loads its averaged weights.
    Ends earlier if this run has taken so many minutes; the learning rate then decays with the time.

    loss_of(network, generator): draws a batch and returns its loss; its network computes in bfloat16, and is compiled
    if there is a C compiler. optimizers: of the network's parameters on DEVICE, with their peak learning rates; they
    step at the same time, each in one thread. ema: the decay of the exponential moving average of the weights.
    validate: returns the errors of a network; every VALIDATE_EVERY updates, those of the averaged weights are appended
    to NAME.jsonl beside the checkpoint, NAME.pt, in CHECKPOINTS.

    Ctrl-C and SIGTERM raise KeyboardInterrupt after the checkpoint is saved. Raises SystemExit if the checkpoint is of
    another number of optimizers.
    """
    rates = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    average = {key: value.clone() for key, value in network.state_dict().items()}
    update, earlier = 0, 0.0
    if state := load_checkpoint(name):
        if len(state["optimizers"]) != len(optimizers):
            raise SystemExit(f"{CHECKPOINTS / name}.pt: was saved with other optimizers; move it away to start anew")
        network.load_state_dict(state["network"])
        for optimizer, its_state in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(its_state)
        average = {key: state["average"][key] for key in average}  # in the network's order
        update, earlier = state["update"], state["core_seconds"]
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]  # loading a state replaced them
    weights = network.state_dict()
    first, began, worked = update, time.monotonic(), time.process_time()

    def core_seconds() -> float:
        return earlier + time.process_time() - worked

    def checkpoint() -> None:
        states = [optimizer.state_dict() for optimizer in optimizers]
        state = {"network": weights, "average": average, "optimizers": states}
        save_checkpoint(name, {**state, "update": update, "core_seconds": core_seconds()})

    def log_validation(validate: Callable[[nn.Module], dict[str, float]]) -> None:
        """Logs the errors of the averaged weights, then restores the weights in training."""
        kept = {key: value.clone() for key, value in weights.items()}
        network.load_state_dict(average)
        errors = validate(network)
        network.load_state_dict(kept)
        line = {"update": update, "core_hours": round(core_seconds() / 3600, 3), **errors}
        with (CHECKPOINTS / f"{name}.jsonl").open("a") as curve:
            curve.write(json.dumps(line) + "\n")
        print(f"{name}: update {update}, held out " + ", ".join(f"{k} {v:.4f}" for k, v in errors.items()), flush=True)

    generator = torch.manual_seed(SEED + update)  # a resumed run draws other batches
    fast = torch.compile(network, dynamic=False) if shutil.which("cc") else network
    forward = torch.autocast(DEVICE, torch.bfloat16)(fast)
    at_once = 1 if DEVICE == "cuda" else torch.get_num_threads()
    threads = ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(1,))
    stops = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    reported = saved = began
    losses: list[Tensor] = []
    try:
        while (share := max(update / updates, (time.monotonic() - began) / 60 / minutes if minutes else 1)) < 1:
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate * learning_rate(update - first, share)
            loss = loss_of(forward, generator)
            network.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            list(threads.map(methodcaller("step"), optimizers))
            with torch.no_grad():
                keep = min(ema, (1 + update) / (10 + update))
                torch._foreach_lerp_(list(average.values()), list(weights.values()), 1 - keep)
            update += 1
            losses.append(loss.detach())
            now = time.monotonic()
            if now - reported > REPORT:
                pace, mean = (update - first) / (now - began), torch.stack(losses).mean().item()
                left = min((updates - update) / pace / 60, minutes - (now - began) / 60)
                print(f"{name}: update {update}, loss {mean:.4f}, {pace:.2f} a second, {left:.0f} min left", flush=True)
                reported = now
                losses.clear()
            if validate and update % VALIDATE_EVERY == 0:
                log_validation(validate)
            if now - saved > SAVE:
                checkpoint()
                saved = time.monotonic()
    finally:
        threads.shutdown()
        if update > first:
            checkpoint()
        for number, handler in stops.items():
            signal.signal(number, handler)
    network.load_state_dict(average)
