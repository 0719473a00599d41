"""pocket's later stages: diffusion models that enlarge an image by 4 in each direction, conditioned on that image.

As in cascaded diffusion (Ho et al. 2022) and DeepFloyd's stage 2, the network sees the smaller image with a little
noise, whose level is given as a class label (noise conditioning augmentation). It works on a space-to-depth grid: each
4 x 4 block of the noisy large image becomes 48 channels at one pixel of the small image, beside that pixel's 3.

The stage models the residual on the bicubic enlargement b. The network F predicts the clean residual (diffusers'
prediction type "sample") from its Wiener estimate y, for a Gaussian prior of variance s^2:

    y    = sqrt(abar_t) s^2 / (abar_t s^2 + 1 - abar_t) (x_t - sqrt(abar_t) b)
    x_0^ = b + s F(y / s, small image, level, t, text)

At high noise y vanishes, and F acts as an upscaler of the small image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor

from ...diffusion.estimates import Estimate, Noise
from ...diffusion.sampling import gaussian
from ...diffusion.schedule import Schedule
from ..base import LaterStage, Meter
from . import minilm

SCALE = 4
RESIDUAL = 0.1  # s
FIRST = 500  # the first timestep: there abar_t s^2 is 1/100 of the variance, so noised b is a sufficient start
LEVEL = 30  # level of the noise on the smaller image when sampling: sigma = 0.05
STEPS_2, STEPS_3 = 8, 2  # stage 2 has to sample a grain; stage 3 has none, and each step costs sharpness

Encode = Callable[[str], Tensor]


def network(widths: tuple[int, int], text: bool) -> UNet2DConditionModel:
    """Returns a stage of two resolutions, untrained, which equals bicubic; with `text`, the lower one attends to the
    prompt.

    Every operation is local (in cross-attention, positions attend only to the text), so images may have any size.
    """
    cross, plain = ("SimpleCrossAttn", {"only_cross_attention": True}) if text else ("", {})
    net = UNet2DConditionModel(
        in_channels=3 * SCALE**2 + 3,
        out_channels=3 * SCALE**2,
        block_out_channels=widths,
        layers_per_block=1,
        down_block_types=("DownBlock2D", f"{cross}DownBlock2D"),
        mid_block_type=f"UNetMidBlock2D{cross}",
        up_block_types=(f"{cross}UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=16,
        cross_attention_dim=64,
        encoder_hid_dim=minilm.WIDTH if text else None,
        encoder_hid_dim_type="text_proj" if text else None,
        class_embed_type="timestep",
        **plain,
    )
    for parameter in net.conv_out.parameters():
        torch.nn.init.zeros_(parameter)
    return net


def stage_2() -> UNet2DConditionModel:
    """64 to 256 pixels: samples the grain of the prompt's style, and the edges."""
    return network((48, 64), text=True)


def stage_3() -> UNet2DConditionModel:
    """256 to 1024 pixels: without text, since no content is left to invent."""
    return network((48, 64), text=False)


class Condition(NamedTuple):
    """Conditioning for N images (3, 4 H, 4 W).

    bicubic: b, (N, 3, 4 H, 4 W). low: the noised smaller images, (N, 3, H, W). level: the timestep of that noise, (N,).
    tokens: the prompts from `minilm.encode`, (N, tokens, 384); None for a stage without text.
    """

    bicubic: Tensor
    low: Tensor
    level: Tensor
    tokens: Tensor | None


def condition(schedule: Schedule, low: Tensor, level: Tensor, eps: Tensor, tokens: Tensor | None) -> Condition:
    """Conditions on the smaller images `low`, (N, 3, H, W) in -1 … 1, with the noise eps at each level."""
    abar = schedule.batched(level)
    bicubic = F.interpolate(low, scale_factor=SCALE, mode="bicubic")
    return Condition(bicubic, abar.sqrt() * low + (1 - abar).sqrt() * eps, level, tokens)


def predicted(
    net: Callable[..., tuple[Tensor]], x: Tensor, abar_t: Tensor, t: Tensor, given: Condition
) -> Tensor:  # fmt: skip
    """Predicts x_0 from x = x_t, (N, 3, 4 H, 4 W), at t, (N,), with abar_t, (N, 1, 1, 1)."""
    wiener = abar_t.sqrt() * RESIDUAL**2 / (abar_t * RESIDUAL**2 + 1 - abar_t)
    y = wiener * (x - abar_t.sqrt() * given.bicubic)
    inputs = torch.cat([F.pixel_unshuffle(y / RESIDUAL, SCALE), given.low], dim=1)
    answer = net(inputs, t, encoder_hidden_states=given.tokens, class_labels=given.level, return_dict=False)[0]
    return given.bicubic + RESIDUAL * F.pixel_shuffle(answer.float(), SCALE)


def timesteps(steps: int) -> list[int]:
    """Returns timesteps from 500 to nearly 0 with quadratic spacing: the residual is small and decided at low noise."""
    return [round(FIRST * ((steps - k) / steps) ** 2) for k in range(steps)]


class Enlarger(LaterStage):
    """A later stage of pocket, as SDEdit of the bicubic enlargement.

    The conditioning is the smaller image and its noise, each pixel of them repeated to this stage's size, (6, S, S).
    There is no guidance, because the stage was not trained for it.
    """

    side = None

    gamma = 1.0
    chunk = 1  # larger batches gain nothing on a CPU

    def __init__(
        self,
        number: int,
        net: UNet2DConditionModel,
        schedule: Schedule,
        encode: Encode | None,
        steps: int,
        meter: Meter,
    ) -> None:
        super().__init__(meter)
        self.number, self.net, self.schedule, self.encode = number, net, schedule, encode
        self.timesteps = timesteps(steps)

    def begin(self, low: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The generator draws the noise on `low`, then that on its bicubic enlargement, where SDEdit starts."""
        eps = gaussian(generator, low)
        bicubic = F.interpolate(low[None], scale_factor=SCALE, mode="bicubic")[0]
        x = self.schedule.forward(bicubic, self.timesteps[0], gaussian(generator, bicubic))
        return x, torch.cat([low, eps]).repeat_interleave(SCALE, -1).repeat_interleave(SCALE, -2)

    def guided(self, prompt: str, gamma: float | None = None) -> Estimate:
        return self.noise(prompt)

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        x, low, eps = x.split(3, dim=1)
        low, eps = (part[..., ::SCALE, ::SCALE] for part in (low, eps))
        tokens = torch.cat([self.encode(prompt) for prompt in prompts]).to(x) if self.encode else None
        seen = condition(self.schedule, low, torch.full_like(t, LEVEL), eps, tokens)
        x0 = predicted(self.net, x, self.schedule.batched(t), t, seen)
        return Noise(self.schedule.eps_of(x, t, x0))
