"""DeepFloyd IF: the cascade that the assignment is about, from a folder where its stages were saved.

stage_1/ holds an IFPipeline (with its T5 text encoder), stage_2/ an IFSuperResolutionPipeline, stage_3/ a
StableDiffusionUpscalePipeline, each as diffusers' `save_pretrained` leaves it. The safety checker is not loaded: its
class cannot be loaded with transformers 5, and the prompts here are the report's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from diffusers import IFPipeline, IFSuperResolutionPipeline, StableDiffusionUpscalePipeline
from diffusers.utils import logging
from torch import Tensor

from ..diffusion.estimates import Noise
from . import ModelError
from .base import Model, schedule_of
from .quick import Quick

UNCHECKED = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False, "watermarker": None}


class DeepFloyd(Model):
    """Stage 1 as a model of this report: its UNet answers with 6 channels, eps and the learned variance."""

    name = "deepfloyd"
    description = "DeepFloyd IF, the cascade of the assignment"

    def __init__(self, pipeline: IFPipeline, folder: Path | None = None, digest: str = "") -> None:
        self.pipeline, self.folder, self.digest = pipeline, folder, digest
        self.device, self.dtype = pipeline.unet.device, pipeline.unet.dtype
        self.schedule = schedule_of(pipeline.scheduler)
        self._encode = lru_cache(self._encode_prompt)
        self._network = Quick(pipeline.unet, self._encode)

    def _encode_prompt(self, prompt: str) -> Tensor:
        embeds, _ = self.pipeline.encode_prompt(
            prompt, do_classifier_free_guidance=False, device=self.device, clean_caption=False
        )
        return embeds

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        return self._network(x, t, prompts)

    @torch.inference_mode()
    def enlarge(self, x: Tensor, prompt: str, generator: torch.Generator) -> Tensor:
        """64 to 256 pixels by IF-II (noise level 250, gamma 4, 50 steps), 256 to 1024 by the x4 upscaler (75 steps)."""
        image, common = x[None].to(self.dtype), {"generator": generator, "output_type": "pt"}
        if x.shape[-1] == 64:
            stage = self._stage("stage_2", IFSuperResolutionPipeline, text_encoder=None, **UNCHECKED)
            embeds, negative = (self._encode(text) for text in (prompt, ""))
            return stage(
                prompt_embeds=embeds, negative_prompt_embeds=negative, image=image, noise_level=250, **common
            ).images[0].float()  # fmt: skip
        stage = self._stage("stage_3", StableDiffusionUpscalePipeline)
        enlarged = stage(prompt=prompt, image=image, noise_level=100, guidance_scale=9, **common).images[0]
        return enlarged.float() * 2 - 1

    def _stage(self, name: str, pipeline_class, **options):
        """A later stage, loaded on first use and kept."""
        if name not in self.__dict__:
            if self.folder is None or not (self.folder / name).exists():
                raise ModelError(f"deepfloyd: {name}/ is missing beside stage_1/; save it there with diffusers")
            stage = pipeline_class.from_pretrained(self.folder / name, torch_dtype=self.dtype, **options).to(
                self.device
            )
            stage.set_progress_bar_config(disable=True)
            self.__dict__[name] = stage
        return self.__dict__[name]


def load(folder: Path, digest: str) -> DeepFloyd:
    """DeepFloyd from its folder, on the GPU if there is one, in float16 there. Raises ModelError without stage_1/."""
    if not (folder / "stage_1").exists():
        raise ModelError(f"deepfloyd: {folder} has no stage_1/; save DeepFloyd/IF-I-XL-v1.0 there with diffusers")
    logging.disable_progress_bar()
    device, dtype = ("cuda", torch.float16) if torch.cuda.is_available() else ("cpu", torch.float32)
    pipeline = IFPipeline.from_pretrained(folder / "stage_1", torch_dtype=dtype, **UNCHECKED).to(device)
    return DeepFloyd(pipeline, folder, digest)
