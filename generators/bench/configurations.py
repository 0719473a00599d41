"""DeepFloyd IF's first stage in its published sizes, with random weights, to measure its speed.

Speed does not depend on the weights. They are created on the GPU or as shapes only (`meta`); nothing is downloaded or
copied from the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple
from zlib import crc32

import torch
from diffusers import DDPMScheduler, IFImg2ImgPipeline, IFPipeline, UNet2DConditionModel
from torch import Tensor

from ..diffusion.estimates import Noise
from ..models.base import Cascade, Meter, Stage, schedule_of
from ..models.deepfloyd import flops
from ..models.deepfloyd.text_projections import CachedTextUNet, noise_of


class Configuration(NamedTuple):
    """A UNet of IF's architecture. widths: channels of its four levels. text: channels of the text embedding."""

    name: str
    widths: tuple[int, ...]
    layers: int = 3
    head: int = 64
    text: int = 4096
    text_heads: int = 64
    groups: int = 32


CONFIGURATIONS = {
    configuration.name: configuration
    for configuration in (
        Configuration("I-XL", (704, 1408, 2112, 2816)),
        Configuration("I-L", (320, 640, 960, 1280)),
        Configuration("I-M", (192, 384, 576, 768)),
        Configuration("small", (32, 64, 128, 192), text=256, text_heads=4),  # about the size of pocket's stage 1
    )
}


def network(
    configuration: Configuration, device: str, dtype: torch.dtype = torch.float32, seed: int = 0
) -> UNet2DConditionModel:
    """Builds the UNet with random weights: in float32 on a CPU, in `dtype` on a GPU."""
    deeper = len(configuration.widths) - 1
    made_in = torch.get_default_dtype()
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(seed)
        torch.set_default_dtype(made_in if device == "cpu" else dtype)
        try:
            unet = UNet2DConditionModel(
                sample_size=64,
                in_channels=3,
                out_channels=6,
                block_out_channels=configuration.widths,
                layers_per_block=configuration.layers,
                norm_num_groups=configuration.groups,
                down_block_types=("ResnetDownsampleBlock2D", *["SimpleCrossAttnDownBlock2D"] * deeper),
                mid_block_type="UNetMidBlock2DSimpleCrossAttn",
                up_block_types=(*["SimpleCrossAttnUpBlock2D"] * deeper, "ResnetUpsampleBlock2D"),
                act_fn="gelu",
                attention_head_dim=configuration.head,
                cross_attention_dim=configuration.widths[-1],
                cross_attention_norm="group_norm",
                encoder_hid_dim=configuration.text,
                encoder_hid_dim_type="text_proj",
                addition_embed_type="text",
                addition_embed_type_num_heads=configuration.text_heads,
                resnet_time_scale_shift="scale_shift",
                resnet_skip_time_act=True,
                resnet_out_scale_factor=1.4142,
                mid_block_scale_factor=1.4142,
                time_embedding_act_fn="gelu",
            )
        finally:
            torch.set_default_dtype(made_in)
    # Not diffusers' `to`, which warns about float32 modules that do not exist here.
    return torch.nn.Module.to(unet, dtype).eval()


class Size(NamedTuple):
    """parameters: their number. flops: operations of one image's forward; a multiplication and an addition count as
    two."""

    parameters: int
    flops: int


@cache
def size(configuration: Configuration) -> Size:
    """Returns a configuration's size without allocating it."""
    return Size(*flops.of_unet(dict(network(configuration, "meta").config)))


class RandomStage(Stage):
    """Stage 1 with random weights and a random text embedding for each prompt.

    cached: called as this report calls DeepFloyd; otherwise the text is projected again in each call.
    """

    def __init__(
        self, configuration: Configuration, device: str, dtype: torch.dtype, cached: bool, compiled: bool, meter: Meter
    ) -> None:
        super().__init__(meter)
        self.device, self.dtype, self.text = torch.device(device), dtype, configuration.text
        self.unet = network(configuration, device, dtype)
        self.scheduler = DDPMScheduler(
            beta_schedule="squaredcos_cap_v2",
            variance_type="learned_range",
            thresholding=True,
            dynamic_thresholding_ratio=0.95,
            sample_max_value=1.5,
        )
        self.schedule = schedule_of(self.scheduler)
        self.encode = cache(self._encode)
        self.cached = CachedTextUNet(self.unet, self.encode) if cached else None
        if self.cached and compiled:
            self.cached.compile()

    def _encode(self, prompt: str) -> Tensor:
        generator = torch.Generator().manual_seed(crc32(prompt.encode()))
        return torch.randn(1, flops.TOKENS, self.text, generator=generator).to(self.device, self.dtype)

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        if self.cached:
            return self.cached(x, t, prompts)
        states = torch.cat([self.encode(prompt) for prompt in prompts])
        six = self.unet(x.to(self.dtype), t, encoder_hidden_states=states, return_dict=False)[0]
        return noise_of(six.to(x.dtype))


class RandomIF(Cascade):
    """A cascade whose first stage alone is measured."""

    name, digest = "random-if", ""
    first: RandomStage

    def __init__(
        self, configuration: Configuration, device: str, dtype: torch.dtype, cached: bool = True, compiled: bool = False
    ) -> None:
        super().__init__()
        self.dtype, self.description = dtype, f"{configuration.name} with random weights"
        self.first = RandomStage(configuration, device, dtype, cached, compiled, self.meter)

    def pipelines(self) -> tuple[IFPipeline, IFImg2ImgPipeline]:
        """Returns diffusers' text-to-image and image-to-image pipelines over the same network."""
        absent = {"tokenizer": None, "text_encoder": None, "safety_checker": None, "feature_extractor": None}
        parts = {
            "unet": self.first.unet,
            "scheduler": self.first.scheduler,
            "watermarker": None,
            "requires_safety_checker": False,
        }
        both = IFPipeline(**absent, **parts), IFImg2ImgPipeline(**absent, **parts)
        for pipeline in both:
            pipeline.set_progress_bar_config(disable=True)
        return both
