"""What pocket's training scripts share: the loop, averaged weights, and checkpoints that a killed run resumes from."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .pictures import CACHE

WEIGHTS = Path(__file__).parent / "weights"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SEED, WARMUP = 42, 100
REPORT, SAVE = 30, 180  # seconds between two lines of progress, between two checkpoints


def adamw(parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019) as all of pocket's networks take it."""
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)


def learning_rate(progress: float, update: int) -> float:
    """The share of the full rate: warm-up by updates, then constant, then a linear fall over the last third of time."""
    return min(1.0, (update + 1) / WARMUP) * max(0.02, min(1.0, 3 * (1 - progress)))


def fit(
    name: str,
    network: nn.Module,
    loss_of: Callable[[Callable[..., Any], torch.Generator], Tensor],
    optimizers: Sequence[torch.optim.Optimizer],
    minutes: float,
    ema: float,
) -> None:
    """Train the network for so many minutes, earlier runs counted in, and leave in it the average of its weights.

    loss_of(network, generator) draws a batch and gives its loss; the network that it is called with computes in
    bfloat16 and is compiled where there is a compiler. optimizers: for the network's parameters on DEVICE, at their
    highest learning rates. ema: how much of the average an update keeps. The checkpoint is .cache/pocket/NAME.pt.
    """
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    rates = [group["lr"] for group in groups]
    average = {key: value.clone() for key, value in network.state_dict().items()}
    update, spent = 0, 0.0
    checkpoint = CACHE / f"{name}.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=DEVICE, weights_only=True)
        network.load_state_dict(state["network"])
        for optimizer, its_state in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(its_state)
        average, update, spent = state["average"], state["update"], state["spent"]
    weights = network.state_dict()

    def save() -> None:
        """Write the checkpoint beside its old version, then replace that: a killed run resumes from a whole one."""
        states = [optimizer.state_dict() for optimizer in optimizers]
        state = {"network": weights, "average": average, "optimizers": states}
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        torch.save({**state, "update": update, "spent": spent}, checkpoint.with_suffix(".part"))
        checkpoint.with_suffix(".part").rename(checkpoint)

    generator = torch.Generator().manual_seed(SEED + update)  # a resumed run goes on with other batches
    forward = torch.autocast(DEVICE, torch.bfloat16)(torch.compile(network) if shutil.which("cc") else network)
    budget, began, reported, saved = 60 * minutes, time.monotonic() - spent, spent, spent
    losses: list[float] = []
    while (spent := time.monotonic() - began) < budget:
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * learning_rate(spent / budget, update)
        loss = loss_of(forward, generator)
        network.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():
            keep = min(ema, (1 + update) / (10 + update))
            torch._foreach_lerp_(list(average.values()), list(weights.values()), 1 - keep)
        update += 1
        losses.append(loss.item())
        if spent - reported > REPORT:
            reported, left = spent, math.ceil((budget - spent) / 60)
            mean = sum(losses) / len(losses)
            print(
                f"{name}: update {update}, loss {mean:.4f}, {update / spent:.1f} a second, {left} min left", flush=True
            )
            losses.clear()
        if spent - saved > SAVE:
            saved = spent
            save()
    save()
    network.load_state_dict(average)
