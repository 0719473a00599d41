"""pocket's later stages: diffusion models that enlarge an image by 4 in each direction, conditioned on that image.

As in cascaded diffusion (Ho et al. 2022) and DeepFloyd's stage 2, the network sees the smaller image with a little
noise, whose level it is told as a class label (noise conditioning augmentation). It works on a space-to-depth grid:
each 4 x 4 block of the noisy large image is 48 channels at one pixel of the small image, beside that pixel's 3.

What is left to draw is the residual on the bicubic enlargement b. The network F predicts that, cleaned (in diffusers'
terms the prediction type is "sample"), and sees it at its most likely, were it Gaussian of variance s^2:

    y    = sqrt(abar_t) s^2 / (abar_t s^2 + 1 - abar_t) (x_t - sqrt(abar_t) b)       the Wiener estimate
    x_0^ = b + s F(y / s, small image, level, t, text)

Where there is much noise, y is next to nothing and F all but an upscaler of the small image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor

from ..diffusion.estimates import Estimate, Noise
from ..diffusion.sampling import gaussian
from ..diffusion.schedule import Schedule
from . import minilm
from .base import LaterStage, Model

SCALE = 4
RESIDUAL = 0.1  # s
FIRST = 500  # the first timestep: abar_t s^2 is 1/100 of the variance there, so x_t needs no more than b and noise
LEVEL = 30  # of the noise on the smaller image when sampling: sigma = 0.05
STEPS_2, STEPS_3 = 8, 2  # stage 2 has a grain to find; stage 3 none, and every step costs it a little sharpness

Encode = Callable[[str], Tensor]


def network(widths: tuple[int, int], text: bool) -> UNet2DConditionModel:
    """A stage of two resolutions; with `text`, the lower one looks at the prompt's tokens. Untrained, it is bicubic.

    All it does is local, also the cross-attention (each position asks the text, none another position), so that it
    runs on images of any size.
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
    """64 to 256 pixels: draws the grain that the prompt's style asks for, and the edges."""
    return network((48, 64), text=True)


def stage_3() -> UNet2DConditionModel:
    """256 to 1024 pixels: no text, for all that is to be seen is there."""
    return network((48, 64), text=False)


class Condition(NamedTuple):
    """What a stage knows of N images, (3, 4 H, 4 W), that it is to draw.

    bicubic: b, (N, 3, 4 H, 4 W). low: the smaller images with noise, (N, 3, H, W); level, (N,): the timestep of that
    noise. tokens: (N, tokens, 384), the prompts as `minilm.encode` gives them; None for a stage without text.
    """

    bicubic: Tensor
    low: Tensor
    level: Tensor
    tokens: Tensor | None


def condition(schedule: Schedule, low: Tensor, level: Tensor, eps: Tensor, tokens: Tensor | None) -> Condition:
    """Condition on the smaller images `low`, (N, 3, H, W) in -1 … 1, with the noise eps at each one's level."""
    abar = schedule.abar.to(low.device)[level].view(-1, 1, 1, 1)
    bicubic = F.interpolate(low, scale_factor=SCALE, mode="bicubic")
    return Condition(bicubic, abar.sqrt() * low + (1 - abar).sqrt() * eps, level, tokens)


def predicted(
    net: Callable[..., tuple[Tensor]], x: Tensor, abar_t: Tensor, t: Tensor, given: Condition
) -> Tensor:  # fmt: skip
    """x_0^ from x = x_t, (N, 3, 4 H, 4 W), whose level is t, (N,), with abar_t, (N, 1, 1, 1)."""
    wiener = abar_t.sqrt() * RESIDUAL**2 / (abar_t * RESIDUAL**2 + 1 - abar_t)
    y = wiener * (x - abar_t.sqrt() * given.bicubic)
    inputs = torch.cat([F.pixel_unshuffle(y / RESIDUAL, SCALE), given.low], dim=1)
    answer = net(inputs, t, encoder_hidden_states=given.tokens, class_labels=given.level, return_dict=False)[0]
    return given.bicubic + RESIDUAL * F.pixel_shuffle(answer.float(), SCALE)


def timesteps(steps: int) -> list[int]:
    """From 500 to nearly 0, quadratically closer together: the residual is small, and is decided at little noise."""
    return [round(FIRST * ((steps - k) / steps) ** 2) for k in range(steps)]


class Enlarger(LaterStage):
    """A later stage of pocket, as SDEdit of the bicubic enlargement.

    `given` is the smaller image and the noise on it, (6, H, W). Guidance would have to be learned: there is none.
    """

    gamma = 1.0
    chunk = 1  # on a processor, more at once gain nothing

    def __init__(
        self, net: UNet2DConditionModel, schedule: Schedule, encode: Encode | None, steps: int, model: Model
    ) -> None:
        super().__init__(model)
        self.net, self.schedule, self.encode = net, schedule, encode
        self.timesteps = timesteps(steps)

    def begin(self, low: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The generator's draws: the noise on `low`, then that on its bicubic enlargement, from which SDEdit starts."""
        eps = gaussian(generator, low)
        bicubic = F.interpolate(low[None], scale_factor=SCALE, mode="bicubic")[0]
        x = self.schedule.forward(bicubic, self.timesteps[0], gaussian(generator, bicubic))
        return x, torch.cat([low, eps])

    def guided(self, prompt: str, given: Tensor | None = None, gamma: float | None = None) -> Estimate:
        return self.noise(prompt, given)

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str], given: Tensor) -> Noise:
        low, eps = given.chunk(2, dim=1)
        tokens = torch.cat([self.encode(prompt) for prompt in prompts]) if self.encode else None
        seen = condition(self.schedule, low, torch.full_like(t, LEVEL), eps, tokens)
        x0 = predicted(self.net, x, self.schedule.abar[t].view(-1, 1, 1, 1), t, seen)
        return Noise(self.schedule.eps_of(x, t, x0))
