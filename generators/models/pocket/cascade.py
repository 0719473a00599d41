"""pocket: the small cascade that ships with the report. Its weights are in generators/models/pocket/weights.

Stage 1, in patches.py, predicts the clean image of 64 x 64 pixels; stages 2 and 3, in super_resolution.py, enlarge by 4
each. generators/pipeline.py offers the three as a diffusers pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.utils import logging
from torch import Tensor

from ...diffusion.estimates import Noise
from ...diffusion.schedule import Schedule
from ..base import Cascade, Meter, Stage, schedule_of
from . import minilm, patches
from .super_resolution import STEPS_2, STEPS_3, Encode, Enlarger


def scheduler() -> DDPMScheduler:
    """Returns the cosine schedule, as DeepFloyd's; the network predicts x_0 ("sample"), and the variance is fixed."""
    return DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="sample", variance_type="fixed_small")


class FirstStage(Stage):
    """Stage 1, which predicts the clean image of 64 x 64 pixels."""

    gamma = 3.0  # from the evaluation in MODEL_CARD.md; above it colours saturate and lines thicken
    chunk = 24  # on two cores a tenth faster than 32, whose activations do not fit in the cache

    def __init__(self, transformer: patches.Denoiser, schedule: Schedule, encode: Encode, meter: Meter) -> None:
        super().__init__(meter)
        self.transformer, self.schedule, self.encode = transformer, schedule, encode

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        tokens = torch.cat([self.encode(prompt) for prompt in prompts]).to(x)
        x0 = patches.clean(self.transformer, x, t, tokens, self.schedule.batched(t))
        return Noise(self.schedule.eps_of(x, t, x0))


class Pocket(Cascade):
    """The cascade of its three networks, in float32, and the scheduler of their training.

    device: where it samples, at first that of the transformer. All three networks must be there when they are called.
    Prompts are encoded on the CPU.
    """

    name = "pocket"
    first: FirstStage
    second: Enlarger
    third: Enlarger

    def __init__(
        self,
        transformer: patches.Denoiser,
        stage_2: UNet2DConditionModel,
        stage_3: UNet2DConditionModel,
        scheduler: DDPMScheduler,
        digest: str = "",
    ) -> None:
        super().__init__()
        self.digest = digest
        networks = (transformer, stage_2, stage_3)
        size = sum(parameter.numel() for network in networks for parameter in network.eval().parameters())
        self.description = f"the {size / 1e6:.0f}-million-parameter cascade that ships with this report"
        schedule, encode = schedule_of(scheduler), lru_cache(lambda prompt: minilm.encode([prompt])[0])
        self.first = FirstStage(transformer, schedule, encode, self.meter)
        self.second = Enlarger(2, stage_2, schedule, encode, STEPS_2, self.meter)
        self.third = Enlarger(3, stage_3, schedule, None, STEPS_3, self.meter)
        self.device = transformer.device

    @property
    def device(self) -> torch.device:
        return self.first.device

    @device.setter
    def device(self, device: torch.device) -> None:
        self.first.device = self.second.device = self.third.device = device


def load(folder: Path, digest: str) -> Pocket:
    """Loads pocket from a folder with transformer/, stage_2/, stage_3/ and scheduler/, saved by diffusers."""
    logging.disable_progress_bar()
    stage_2, stage_3 = (
        UNet2DConditionModel.from_pretrained(folder / stage, torch_dtype=torch.float32)
        for stage in ("stage_2", "stage_3")
    )
    scheduler = DDPMScheduler.from_pretrained(folder / "scheduler")
    return Pocket(patches.load(folder / "transformer"), stage_2, stage_3, scheduler, digest)
