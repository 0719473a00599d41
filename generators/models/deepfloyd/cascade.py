"""The three stages of DeepFloyd IF: 64, 256 and 1024 pixels.

Stages 1 and 2 are UNets of 6 output channels, eps and the learned variance; the loops round them are the report's own
and equal diffusers' IFPipeline and IFSuperResolutionPipeline bit for bit in float32. Stage 3 is Stable Diffusion's x4
upscaler, by its own pipeline. The safety checker is not loaded: its class cannot be loaded with transformers 5, and
the prompts here are the report's own. The watermarker is not either: it would draw into the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import cpu_offload, cpu_offload_with_hook
from diffusers import DDPMScheduler, StableDiffusionUpscalePipeline, UNet2DConditionModel
from diffusers.utils import logging
from torch import Tensor
from transformers.utils import logging as transformers_logging

from ...diffusion.estimates import Noise
from ...diffusion.sampling import gaussian
from .. import ModelError
from ..base import Later, Model, schedule_of
from ..quick import Quick, noise_of
from .text import Embeddings

RESIDENT, BY_STAGE, BY_LAYER = "all stages on the GPU", "one stage at a time on the GPU", "layer by layer on the GPU"
UNCHECKED = {"safety checker": "not loaded", "watermarker": "not applied"}


class Place:
    """Where the stages run. With BY_STAGE a stage's weights wait in RAM while another one is on the device."""

    def __init__(self, device: torch.device, dtype: torch.dtype, how: str = RESIDENT) -> None:
        self.device, self.dtype, self.how = device, dtype, how
        self._hooks: dict[str, Callable[[], None]] = {}

    def unet(self, folder: Path, variant: str | None) -> UNet2DConditionModel:
        """A stage's UNet, ready to be asked there."""
        net = UNet2DConditionModel.from_pretrained(
            folder / "unet", dtype=self.dtype, variant=variant, use_safetensors=True
        ).eval()
        if self.how == RESIDENT:
            net.to(self.device)
        elif self.how == BY_STAGE:
            net, hook = cpu_offload_with_hook(net, self.device)
            self._hooks[str(folder)] = hook.offload
        else:
            cpu_offload(net, self.device)
        return net

    def upscaler(self, folder: Path, variant: str | None) -> StableDiffusionUpscalePipeline:
        """Stage 3, ready to be called there."""
        pipeline = StableDiffusionUpscalePipeline.from_pretrained(
            folder, dtype=self.dtype, variant=variant, use_safetensors=True
        )
        pipeline.set_progress_bar_config(disable=True)
        if self.how == RESIDENT:
            return pipeline.to(self.device)
        pipeline.enable_model_cpu_offload(device=self.device)  # layer by layer fails in inference mode
        return pipeline

    def enter(self, folder: Path) -> None:
        """The stage of this folder is about to be asked: the others make room."""
        for other, leave in self._hooks.items():
            if other != str(folder):
                leave()


class SecondStage(Later):
    """IF-II: 64 to 256 pixels. It sees the bilinear enlargement, noised at level 250, beside x in every step."""

    gamma = 4.0  # this and the next two are the defaults of diffusers' pipeline
    steps = 50
    level = 250
    chunk = 8  # an image has 16 times the pixels of the first stage's

    def __init__(self, model: DeepFloyd, folder: Path, variant: str | None) -> None:
        super().__init__(model)
        self.folder, self.device, self.place, self.encode = folder, model.device, model.place, model.encode
        self.unet = model.place.unet(folder, variant)
        scheduler = DDPMScheduler.from_pretrained(folder / "scheduler")
        scheduler.set_timesteps(self.steps)
        self.schedule, self.timesteps = schedule_of(scheduler), scheduler.timesteps.tolist()
        self.noising = schedule_of(DDPMScheduler.from_pretrained(folder / "image_noising_scheduler"))

    def begin(self, low: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The generator's draws: x, from which sampling starts, then the noise on the enlargement."""
        side = self.unet.config.sample_size
        x = gaussian(generator, low.new_empty(3, side, side))
        enlarged = F.interpolate(low[None], (side, side), mode="bilinear", align_corners=True)[0]
        return x, self.noising.forward(enlarged, self.level, gaussian(generator, enlarged))

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str], given: Tensor) -> Noise:
        self.place.enter(self.folder)
        answer = self.unet(
            torch.cat([x, given], dim=1).to(self.place.dtype),
            t,
            encoder_hidden_states=torch.cat([self.encode(prompt) for prompt in prompts]),
            class_labels=torch.full_like(t, self.level),
            return_dict=False,
        )[0]
        return noise_of(answer.to(x.dtype))


class DeepFloyd(Model):
    """The cascade. stages: the folders stage_1, stage_2 and stage_3 with the variant of their files, those there are.

    embeddings: those of every prompt that will be asked for.
    """

    def __init__(
        self,
        name: str,
        stages: Mapping[str, tuple[Path, str | None]],
        place: Place,
        embeddings: Embeddings,
        digest: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        for library in (logging, transformers_logging):
            library.disable_progress_bar()
        self.name, self.stages, self.place, self.digest = name, stages, place, digest
        self.device, self.dtype = place.device, place.dtype
        self.encode = cache(lambda prompt: embeddings.read(prompt).to(self.device, self.dtype))
        self.folder, variant = stages["stage_1"]
        self.unet = place.unet(self.folder, variant)
        # Where accelerate moves the weights about, it does so by the UNet's own calls.
        self._quick = Quick(self.unet, self.encode) if place.how == RESIDENT else None
        self.schedule = schedule_of(DDPMScheduler.from_pretrained(self.folder / "scheduler"))
        self.settings = {**(settings or {}), **UNCHECKED}
        size = sum(parameter.numel() for parameter in self.unet.parameters())
        self.description = f"DeepFloyd IF, the cascade of the assignment, with {_count(size)} parameters in stage 1"

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        if self._quick:
            return self._quick(x, t, prompts)
        self.place.enter(self.folder)
        answer = self.unet(
            x.to(self.dtype),
            t,
            encoder_hidden_states=torch.cat([self.encode(prompt) for prompt in prompts]),
            return_dict=False,
        )[0]
        return noise_of(answer.to(x.dtype))

    @property
    def second(self) -> SecondStage:  # type: ignore[override]  # loaded on first use
        if "_second" not in self.__dict__:
            self._second = SecondStage(self, *self._stage("stage_2"))
        return self._second

    @torch.inference_mode()
    def enlarge(self, x: Tensor, prompt: str, generator: torch.Generator) -> Tensor:
        """64 to 256 pixels by IF-II (noise level 250, gamma 4, 50 steps), 256 to 1024 by the x4 upscaler.

        The upscaler takes 75 steps at gamma 9 and noise level 100, as IF's own README has it.
        """
        if x.shape[-1] == 64:
            return self.second.enlarge(x, prompt, generator)
        if "_third" not in self.__dict__:
            self._third = self.place.upscaler(*self._stage("stage_3"))
        folder, _ = self.stages["stage_3"]
        self.place.enter(folder)
        shown = (x[None].clamp(-1, 1).to(self.dtype) + 1) / 2
        try:
            (image,) = self._third(
                prompt, shown, noise_level=100, guidance_scale=9.0, generator=generator, output_type="pt"
            ).images
        except torch.cuda.OutOfMemoryError:
            raise ModelError(f"{self.name}: an image of 1024 pixels is too much for this GPU's memory") from None
        return image.float() * 2 - 1

    def _stage(self, name: str) -> tuple[Path, str | None]:
        if name not in self.stages:
            raise ModelError(f"{self.name}: {name}/ is missing beside stage_1/; save it there with diffusers")
        return self.stages[name]


def _count(parameters: int) -> str:
    for size, unit in ((1e9, "billion"), (1e6, "million")):
        if parameters >= size:
            return f"{parameters / size:.1f} {unit}"
    return f"{parameters:,}"
