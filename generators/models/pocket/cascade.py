"""pocket: the small cascade that ships with the report. Its weights are in generators/models/pocket/weights.

Stage 1, in patches.py, predicts the clean image of 64 x 64 pixels; stages 2 and 3, in super_resolution.py, enlarge by 4
each. generators/pipeline.py offers the three as a diffusers pipeline.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...diffusion.estimates import Noise
from ...diffusion.schedule import Schedule, T
from ...records.errors import ModelError
from .. import saved
from ..base import Cascade, Meter, Stage
from . import minilm, patches, transformer, words
from .super_resolution import STEPS_2, STEPS_3, Encode, Enlarger

if TYPE_CHECKING:
    from diffusers import DDPMScheduler

Network = Callable[..., Any]


def scheduler() -> DDPMScheduler:
    """Returns diffusers' scheduler of `schedule`, to train with and to save; the network predicts x_0 ("sample")."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="sample", variance_type="fixed_small")


def schedule() -> Schedule:
    """Returns the cosine schedule (Nichol and Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", eq.
    17), as DeepFloyd's; x_0 is clipped."""

    def abar(t: int) -> float:
        return math.cos((t / T + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = torch.tensor([min(1 - abar(t + 1) / abar(t), 0.999) for t in range(T)], dtype=torch.float32)
    return Schedule((1 - betas).cumprod(0))


class FirstStage(Stage):
    """Stage 1, which predicts the clean image of 64 x 64 pixels."""

    gamma = 3.0  # from the evaluation in MODEL_CARD.md; above it colours saturate and lines thicken
    chunk = 24  # on two cores a tenth faster than 32, whose activations do not fit in the cache

    def __init__(self, transformer: Network, schedule: Schedule, encode: Encode, meter: Meter) -> None:
        super().__init__(meter)
        self.transformer, self.schedule, self.encode = transformer, schedule, encode

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        tokens = torch.cat([self.encode(prompt) for prompt in prompts]).to(x)
        x0 = patches.clean(self.transformer, x, t, tokens, self.schedule.batched(t))
        return Noise(self.schedule.eps_of(x, t, x0))


class Pocket(Cascade):
    """The cascade of its three networks, in float32, and the schedule of their training.

    size: the parameters of the networks. The other arguments are as in `Cascade`. device: where it samples, at first
    that of the transformer. All three networks must be there when they are called. Prompts are encoded on the CPU.
    """

    name = "pocket"
    first: FirstStage
    second: Enlarger
    third: Enlarger

    def __init__(
        self,
        transformer: nn.Module,
        stage_2: Network,
        stage_3: Network,
        schedule: Schedule,
        size: int,
        digest: str = "",
    ) -> None:
        super().__init__()
        self.digest = digest
        self.description = f"the {size / 1e6:.0f}-million-parameter cascade that ships with this report"
        encode = lru_cache(lambda prompt: minilm.encode([prompt])[0])
        self.first = FirstStage(transformer, schedule, encode, self.meter)
        self.second = Enlarger(2, stage_2, schedule, encode, STEPS_2, self.meter)
        self.third = Enlarger(3, stage_3, schedule, None, STEPS_3, self.meter)
        self.device = next(transformer.parameters()).device

    @property
    def device(self) -> torch.device:
        return self.first.device

    @device.setter
    def device(self, device: torch.device) -> None:
        self.first.device = self.second.device = self.third.device = device

    def hint(self, prompt: str) -> str:
        return words.hint(prompt)


def load(folder: Path, digest: str, refusal: Callable[[str], str]) -> Pocket:
    """Loads pocket from a folder with transformer/, stage_2/, stage_3/ and scheduler/, saved by diffusers.

    The first picture needs the transformer alone. A later stage is loaded by diffusers, whose import takes longer than
    all of this, when it is first asked. refusal: the message for a fault. Raises ModelError, RuntimeError or OSError;
    so does the first call of a later stage, but for what headers and configurations show.
    """
    networks = {
        "transformer": "FluxTransformer2DModel", "stage_2": "UNet2DConditionModel", "stage_3": "UNet2DConditionModel"
    }  # fmt: skip
    size = 0
    for part, name in (*networks.items(), ("scheduler", "DDPMScheduler")):
        file = f"{part}/{'config' if part in networks else 'scheduler_config'}.json"
        if saved.json_object(folder, file).get("_class_name") != name:
            raise ModelError(refusal(f"{file} does not describe a {name}"))
    for part in networks:
        for file in saved.weights(folder, part, (None,)):
            size += saved.Header.of(folder / part / file).parameters
    stage_2, stage_3 = (_when_asked(folder / part, refusal) for part in ("stage_2", "stage_3"))
    return Pocket(transformer.load(folder / "transformer"), stage_2, stage_3, schedule(), size, digest)


def _when_asked(folder: Path, refusal: Callable[[str], str]) -> Network:
    """Returns a UNet that diffusers loads when it is first called."""

    @cache
    @torch.inference_mode(False)  # networks created in inference mode sum in another order
    def network() -> Network:
        from diffusers import UNet2DConditionModel
        from diffusers.utils import logging

        logging.disable_progress_bar()
        try:
            return UNet2DConditionModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
        except Exception as error:  # of any type: the library checks no configuration
            raise ModelError(refusal(f"{folder.name}: {' '.join(str(error).split())[:160]}")) from error

    return lambda *arguments, **named: network()(*arguments, **named)
