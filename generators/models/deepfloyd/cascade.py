"""The three stages of DeepFloyd IF: 64, 256 and 1024 pixels.

Stages 1 and 2 are UNets of 6 output channels, eps and the learned variance; the report's own loops over them equal
diffusers' IFPipeline and IFSuperResolutionPipeline bit for bit in float32. Stage 3 is Stable Diffusion's x4 upscaler in
its own pipeline. The safety checker is not loaded: transformers 5 cannot load its class, and the prompts are the
report's own. The watermarker is not loaded because it would draw into the images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, StableDiffusionUpscalePipeline, UNet2DConditionModel
from diffusers.utils import logging
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from ...diffusion.estimates import Estimate, Noise
from ...diffusion.sampling import gaussian
from ...records.errors import ModelError
from ..base import Cascade, LaterStage, Stage, schedule_of
from ..gpu import Stopwatch, fitting, out_of_memory
from . import components, disk
from .text import tokenizer_of
from .text_projections import CachedTextUNet, noise_of

HELD, IN_TURN, BY_LAYER = "read once", "read whole for each turn", "read layer by layer at every forward"


class Spot(NamedTuple):
    """Where a stage runs and how its weights get there.

    offloading: HELD: kept; IN_TURN: read on entering the stage and freed on leaving it; BY_LAYER. chunk: the most
    images in one forward. tiles: whether stage 3 decodes its image in tiles, which takes less memory.
    """

    device: torch.device
    offloading: str
    chunk: int
    tiles: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """float16 on a GPU, float32 on a CPU."""
        return torch.float16 if self.device.type == "cuda" else torch.float32


class FirstStage(Stage):
    """IF-I: samples images of 64 pixels."""

    def __init__(self, model: DeepFloyd, folder: Path) -> None:
        super().__init__(model.meter)
        self.model = model
        self.device, _, self.chunk, _ = model.spots["stage_1"]
        unet = model.unet("stage_1")
        self.unet = CachedTextUNet(unet, model.encode)
        self.parameters = unet.num_parameters()
        self.side = unet.config.sample_size
        self.schedule = schedule_of(components.scheduler(folder, "scheduler", "stage_1"))

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        self.model.enter("stage_1")
        return self.unet(x, t, prompts)


class SecondStage(LaterStage):
    """IF-II: 64 to 256 pixels. Each step sees x and the bilinear enlargement, noised at level 250."""

    number = 2
    gamma = 4.0  # this and the next two: the defaults of diffusers' pipeline
    steps = 50
    level = 250

    def __init__(self, model: DeepFloyd, folder: Path) -> None:
        super().__init__(model.meter)
        self.model = model
        self.device, _, self.chunk, _ = model.spots["stage_2"]
        self.unet = model.unet("stage_2")
        self.side: int = self.unet.config.sample_size
        scheduler = components.scheduler(folder, "scheduler", "stage_2")
        scheduler.set_timesteps(self.steps)
        self.schedule, self.timesteps = schedule_of(scheduler), scheduler.timesteps.tolist()
        self.noising = schedule_of(components.scheduler(folder, "image_noising_scheduler", "stage_2"))

    def begin(self, low: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The generator draws first x, the start of sampling, then the noise on the enlargement."""
        x = gaussian(generator, low.new_empty(3, self.side, self.side))
        enlarged = F.interpolate(low[None], (self.side, self.side), mode="bilinear", align_corners=True)[0]
        return x, self.noising.forward(enlarged, self.level, gaussian(generator, enlarged))

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        self.model.enter("stage_2")
        answer = self.unet(
            x.to(self.model.dtype),
            t,
            encoder_hidden_states=torch.cat([self.model.encode(prompt) for prompt in prompts]),
            class_labels=torch.full_like(t, self.level),
            return_dict=False,
        )[0]
        return noise_of(answer.to(x.dtype))


class _Upscaler(StableDiffusionUpscalePipeline):
    """diffusers' pipeline, but run on the autoencoder's device: the UNet may still be on disk."""

    @property
    def _execution_device(self) -> torch.device:
        return self.vae.device


class ThirdStage:
    """Stable Diffusion's x4 upscaler: 256 to 1024 pixels, in diffusers' own pipeline."""

    steps, gamma, level = 75, 9.0, 100  # from IF's README

    def __init__(self, model: DeepFloyd, folder: Path) -> None:
        self.model, self.folder = model, folder
        self.spot = model.spots["stage_3"]
        unet = model.unet("stage_3")
        unet.forward = self._cached(unet.forward)
        self.pipeline = _Upscaler(
            vae=self._vae(),
            text_encoder=None,
            tokenizer=tokenizer_of(folder, CLIPTokenizer),
            unet=unet,
            low_res_scheduler=components.scheduler(folder, "low_res_scheduler", "stage_3"),
            scheduler=components.scheduler(folder, "scheduler", "stage_3"),
            safety_checker=None,
            feature_extractor=None,
            watermarker=None,
        )
        self.pipeline.set_progress_bar_config(disable=True)
        self.pipeline.vae.decode = self._fitted(self.pipeline.vae.decode)
        if self.spot.tiles:
            self._decode_in_tiles()
        self.texts = cache(self._texts)

    def enlarge(self, low: Tensor, guide: str | Estimate, generator: torch.Generator) -> Tensor:
        """Samples an enlargement of `low`, (3, H, W) in -1 … 1, as (3, 4 H, 4 W), under a prompt. The pipeline draws
        from the generator.

        Raises ModelError for an estimate, which the pipeline cannot follow, or if a GPU's memory runs out.
        """
        if not isinstance(guide, str):
            raise ModelError(f"{self.model.name}: stage 3 enlarges under a prompt only; give `enlarge` a prompt")
        self.model.enter("stage_3")  # before the text encoder is read: another stage may fill the memory
        with fitting("an image of 1024 pixels"):
            texts, negative = self.texts(guide)
            (image,) = self.pipeline(
                image=(low[None].clamp(-1, 1).to(self.spot.device, self.spot.dtype) + 1) / 2,
                prompt_embeds=texts,
                negative_prompt_embeds=negative,
                num_inference_steps=self.steps,
                guidance_scale=self.gamma,
                noise_level=self.level,
                generator=generator,
                output_type="pt",
            ).images
        return image.to(low.device, low.dtype) * 2 - 1

    def _texts(self, prompt: str) -> tuple[Tensor, Tensor]:
        """Returns the embeddings of a prompt and of the empty one; the text encoder is freed afterwards."""
        self.pipeline.text_encoder = self._text_encoder()
        try:
            return self.pipeline.encode_prompt(prompt, self.spot.device, 1, True)
        finally:
            self.pipeline.text_encoder = None

    def _cached(self, forward: Callable[..., tuple[Tensor]]) -> Callable[..., tuple[Tensor]]:
        """Wraps the UNet's forward with the cache of an interrupted run."""

        def cached(x: Tensor, t: Tensor, **arguments: Any) -> tuple[Tensor]:
            cache, inputs = self.model.meter.cache, [each[None] for each in (x, t, arguments["encoder_hidden_states"])]
            if cache and (found := cache.find([(3,)], inputs)):
                return (found[0]["noise"][0].to(x.device),)
            stopwatch = Stopwatch(x.device, 1)
            (noise,) = forward(x, t, **arguments)
            stopwatch.stop()
            if cache:
                cache.keep([(3,)], inputs, {"noise": noise[None]}, stopwatch)
            return (noise,)

        return cached

    def _fitted(self, decode: Callable[..., tuple[Tensor]]) -> Callable[..., tuple[Tensor]]:
        """Wraps the autoencoder's decoder: if a GPU's memory runs out, it decodes in tiles from then on."""

        def fitted(latents: Tensor, **arguments: Any) -> tuple[Tensor]:
            try:
                return decode(latents, **arguments)
            except RuntimeError as error:
                if not out_of_memory(error) or self.pipeline.vae.use_tiling:
                    raise
            torch.cuda.empty_cache()  # here the error is gone, and with it the activations
            self._decode_in_tiles()
            return decode(latents, **arguments)

        return fitted

    def _decode_in_tiles(self) -> None:
        self.pipeline.vae.enable_tiling()
        self.model.settings["stage 3 decodes"] = "in tiles, for lack of memory"  # which blend into each other

    def _vae(self) -> AutoencoderKL:
        # diffusers would need the metadata of an index of shards, which files from elsewhere lack.
        tensors = disk.Tensors(self.folder, "vae", self.spot.dtype)
        vae = disk.build_empty(lambda: components.vae(self.folder), tensors)
        disk.load_weights(vae, tensors, self.spot.device)
        return vae

    def _text_encoder(self) -> CLIPTextModel:
        folder = self.folder / "text_encoder"
        encoder, told = CLIPTextModel.from_pretrained(
            None,
            config=CLIPTextConfig.from_pretrained(folder),
            # transformers would take a single file before an index, diffusers after it
            state_dict=dict(disk.Tensors(self.folder, folder.name, self.spot.dtype)),
            dtype=self.spot.dtype,
            output_loading_info=True,
        )
        if lacks := sorted(told["missing_keys"]):  # they would be random
            raise ModelError(f"{folder}: the weights lack {lacks[0]}; fetch them again")
        return encoder.to(self.spot.device)


class DeepFloyd(Cascade):
    """The cascade. stages: the folders of those that are present, of stage_1, stage_2 and stage_3.

    spots: where they run; stages 1 and 2 share a device. read: returns the embedding of each prompt, (1, 77, width).
    """

    resumes = True
    first: FirstStage

    def __init__(
        self,
        name: str,
        stages: Mapping[str, Path],
        spots: Mapping[str, Spot],
        read: Callable[[str], Tensor],
        digest: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        for library in (logging, transformers_logging):
            library.disable_progress_bar()
            library.set_verbosity_error()  # diffusers warns whenever it casts the autoencoder
        self.name, self.stages, self.spots, self.digest = name, stages, spots, digest
        self._waiting: dict[str, tuple[UNet2DConditionModel, disk.Tensors]] = {}
        self._entered = ""
        spot = spots["stage_1"]
        self.dtype = spot.dtype
        self.encode = cache(lambda prompt: read(prompt).to(spot.device, spot.dtype))
        self.first = FirstStage(self, stages["stage_1"])
        self.settings: dict[str, str] = {
            **(settings or {}),
            "safety checker": "not loaded",
            "watermarker": "not applied",
        }
        size = f"{self.first.parameters / 1e9:.2g} billion parameters in stage 1"
        self.description = f"DeepFloyd IF, the cascade of the assignment, with {size}"

    # The later stages are loaded on first use. They raise ModelError if a stage is missing.

    @cached_property
    def second(self) -> SecondStage:  # type: ignore[override]
        return SecondStage(self, self._stage("stage_2"))

    @cached_property
    def third(self) -> ThirdStage:  # type: ignore[override]
        return ThirdStage(self, self._stage("stage_3"))

    def _stage(self, name: str) -> Path:
        if name not in self.stages:
            raise ModelError(f"{self.name}: {name}/ is missing beside stage_1/; save it there with diffusers")
        return self.stages[name]

    def unet(self, stage: str) -> UNet2DConditionModel:
        """Builds a stage's UNet; usable after `enter(stage)`."""
        folder, spot = self.stages[stage], self.spots[stage]
        tensors = disk.Tensors(folder, "unet", spot.dtype)
        net = disk.build_empty(lambda: components.unet(folder), tensors)
        if spot.offloading == HELD:
            self._load(stage, net, tensors)
        elif spot.offloading == BY_LAYER:
            disk.load_by_layer(net, tensors, spot.device)
        else:
            self._waiting[stage] = net, tensors
        return net

    def enter(self, stage: str) -> None:
        """Loads the weights of a stage that is about to run, and frees those of another stage that is in turn."""
        if stage == self._entered:
            return
        if self._entered in self._waiting:
            disk.free_weights(self._waiting[self._entered][0])
            torch.cuda.empty_cache()
        self._entered = ""
        if stage in self._waiting:
            self._load(stage, *self._waiting[stage])
        self._entered = stage

    def _load(self, stage: str, net: UNet2DConditionModel, tensors: disk.Tensors) -> None:
        with fitting(f"the weights of {stage}"):
            disk.load_weights(net, tensors, self.spots[stage].device)
