"""DeepFloyd IF's UNets in their published sizes, with random weights, to measure their speed.

Speed does not depend on the weights. They are created on the GPU or as shapes only (`meta`); nothing is downloaded or
copied from the host.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple
from zlib import crc32

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from ..diffusion.estimates import Noise
from ..models.base import Cascade, Meter, Stage, schedule_of
from ..models.deepfloyd.machine import TOKENS, Size, unet_size
from ..models.deepfloyd.text_projections import CachedTextUNet, noise_of


class Configuration(NamedTuple):
    """A first stage's UNet. widths: channels of its levels. text: channels of the text embedding."""

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


def unet(widths: Sequence[int], attending: int, **more: Any) -> UNet2DConditionModel:
    """Returns a UNet of IF's architecture on `meta`, of which the last `attending` levels attend to the text."""
    others = len(widths) - attending
    with torch.device("meta"):
        return UNet2DConditionModel(
            out_channels=6,
            block_out_channels=widths,
            down_block_types=(*["ResnetDownsampleBlock2D"] * others, *["SimpleCrossAttnDownBlock2D"] * attending),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn",
            up_block_types=(*["SimpleCrossAttnUpBlock2D"] * attending, *["ResnetUpsampleBlock2D"] * others),
            act_fn="gelu",
            cross_attention_dim=widths[-1],
            cross_attention_norm="group_norm",
            encoder_hid_dim_type="text_proj",
            addition_embed_type="text",
            resnet_time_scale_shift="scale_shift",
            time_embedding_act_fn="gelu",
            **more,
        )


def first(configuration: Configuration) -> UNet2DConditionModel:
    """Returns a first stage's UNet on `meta`."""
    return unet(
        configuration.widths,
        attending=len(configuration.widths) - 1,
        sample_size=64,
        in_channels=3,
        layers_per_block=configuration.layers,
        norm_num_groups=configuration.groups,
        attention_head_dim=configuration.head,
        encoder_hid_dim=configuration.text,
        addition_embed_type_num_heads=configuration.text_heads,
        resnet_skip_time_act=True,
        resnet_out_scale_factor=1.4142,
        mid_block_scale_factor=1.4142,
    )


def network(configuration: Configuration, device: str, dtype: torch.dtype = torch.float32) -> UNet2DConditionModel:
    """Returns a first stage's UNet with random weights: the same in each precision, up to rounding."""
    net = nn.Module.to(first(configuration), dtype).to_empty(device=device).eval()  # not diffusers' `to`, which warns
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            tensor.copy_(random_weights(name, tensor, generator))
    return net


def random_weights(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    """Generates weights that keep activations within float16: norms 1, biases 0, matrices scaled by their width."""
    if like.dim() < 2:
        return torch.full(like.shape, float(name.endswith("weight")), dtype=like.dtype)
    scale = 1 / math.sqrt(math.prod(like.shape[1:]))
    return (torch.randn(like.shape, generator=generator, device=generator.device) * scale).to(like.dtype)


@cache
def size(configuration: Configuration) -> Size:
    """Returns a configuration's size without allocating it."""
    return unet_size(first(configuration).config)


def scheduler(most: float) -> DDPMScheduler:
    """Returns the scheduler of stages 1 and 2. most: the value to which dynamic thresholding goes at most."""
    return DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        variance_type="learned_range",
        thresholding=True,
        dynamic_thresholding_ratio=0.95,
        sample_max_value=most,
    )


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
        self.scheduler = scheduler(1.5)
        self.schedule = schedule_of(self.scheduler)
        self.encode = cache(self._encode)
        self.cached = CachedTextUNet(self.unet, self.encode) if cached else None
        if self.cached and compiled:
            self.cached.compile()

    def _encode(self, prompt: str) -> Tensor:
        generator = torch.Generator().manual_seed(crc32(prompt.encode()))
        return torch.randn(1, TOKENS, self.text, generator=generator).to(self.device, self.dtype)

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
