"""pocket: the small cascade that ships with the report. Its weights lie in generators/pocket/weights.

Stage 1 is diffusers' PixArtTransformer2DModel on 8 x 8 patches; it predicts the clean image, whose seams a few
convolutions mend. Stages 2 and 3, which enlarge by 4 each, are in super_resolution.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from diffusers import ConfigMixin, DDPMScheduler, ModelMixin, PixArtTransformer2DModel, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.utils import logging
from torch import Tensor, nn

from ..diffusion.estimates import Noise
from . import minilm, super_resolution
from .base import Model, schedule_of


def denoiser(layers: int = 8, heads: int = 5) -> PixArtTransformer2DModel:
    """Stage 1, untrained: 64 patches of 8 x 8 pixels; with 8 layers of 5 heads x 64 channels 14 M parameters."""
    return PixArtTransformer2DModel(
        sample_size=64,
        patch_size=8,
        in_channels=3,
        out_channels=3,
        num_layers=layers,
        num_attention_heads=heads,
        attention_head_dim=64,
        cross_attention_dim=64 * heads,
        caption_channels=minilm.WIDTH,
        use_additional_conditions=False,
    )


def scheduler() -> DDPMScheduler:
    """The cosine schedule, which DeepFloyd has too; the network answers with x_0 ("sample"), the variance is fixed."""
    return DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="sample", variance_type="fixed_small")


class Refiner(ModelMixin, ConfigMixin):
    """Mends the seams between the patches of x_0^, which it sees beside x_t and sqrt(1 - abar_t).

    Residual 3 x 3 convolutions: (N, 7, H, W), of which the first three channels are x_0^, to (N, 3, H, W). Untrained,
    it leaves x_0^ as it is.
    """

    @register_to_config
    def __init__(self, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.enter = nn.Conv2d(7, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(depth)
        )
        self.leave = nn.Conv2d(width, 3, 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x)
        for block in self.blocks:
            h = h + block(h)
        return x[:, :3] + self.leave(h)


def refined(network: Callable[[Tensor], Tensor], x: Tensor, x0: Tensor, abar_t: Tensor) -> Tensor:
    """The refiner's x_0 from the noisy image and the transformer's x_0^; abar_t (N, 1, 1, 1)."""
    sigma = (1 - abar_t).sqrt().expand(-1, 1, *x.shape[-2:])
    return network(torch.cat([x0, x, sigma], dim=1))


def saved(folder: Path) -> tuple[PixArtTransformer2DModel, DDPMScheduler]:
    """Stage 1's transformer, in float32, and its scheduler, from the folder of the weights."""
    transformer = PixArtTransformer2DModel.from_pretrained(folder / "transformer", torch_dtype=torch.float32)
    return transformer.eval(), DDPMScheduler.from_pretrained(folder / "scheduler")


class Pocket(Model):
    """See the module. `folder` holds transformer/, refiner/, stage_2/, stage_3/ and scheduler/, saved by diffusers."""

    name = "pocket"

    def __init__(self, folder: Path, digest: str) -> None:
        self.transformer, scheduler = saved(folder)
        self.refiner = Refiner.from_pretrained(folder / "refiner", torch_dtype=torch.float32)
        self.stage_2, self.stage_3 = (
            UNet2DConditionModel.from_pretrained(folder / stage, torch_dtype=torch.float32)
            for stage in ("stage_2", "stage_3")
        )
        self.schedule = schedule_of(scheduler)
        self.digest = digest
        networks = (self.transformer, self.refiner, self.stage_2, self.stage_3)
        size = sum(parameter.numel() for network in networks for parameter in network.eval().parameters())
        self.description = f"the {size / 1e6:.0f}-million-parameter cascade that ships with this report"
        self._encode = lru_cache(lambda prompt: minilm.encode([prompt]))

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        encoded = [self._encode(prompt) for prompt in prompts]
        x0 = self.transformer(
            x,
            encoder_hidden_states=torch.cat([tokens for tokens, _ in encoded]),
            encoder_attention_mask=torch.cat([mask for _, mask in encoded]),
            timestep=t,
            return_dict=False,
        )[0]
        x0 = refined(self.refiner, x, x0, self.schedule.abar[t].view(-1, 1, 1, 1))
        return Noise(self.schedule.eps_of(x, t, x0))

    @torch.inference_mode()
    def enlarge(self, x: Tensor, prompt: str, generator: torch.Generator) -> Tensor:
        """64 to 256 pixels by stage 2, which asks the prompt; more by stage 3."""
        if x.shape[-1] == 64:
            tokens, _ = self._encode(prompt)
            return super_resolution.enlarge(self.stage_2, self.schedule, x, tokens, generator)
        return super_resolution.enlarge(self.stage_3, self.schedule, x, None, generator)


def load(folder: Path, digest: str) -> Pocket:
    """pocket from the folder of its weights."""
    logging.disable_progress_bar()
    return Pocket(folder, digest)
