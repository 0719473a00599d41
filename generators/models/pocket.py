"""pocket: the small cascade that ships with the report. Its weights are in generators/pocket/weights.

Stage 1 is diffusers' FluxTransformer2DModel on patches of 8 x 8 pixels; it predicts the clean image, and a few
convolutions remove the seams. Stages 2 and 3, which enlarge by 4 each, are in super_resolution.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from diffusers import ConfigMixin, DDPMScheduler, FluxTransformer2DModel, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.utils import logging
from torch import Tensor, nn

from ..diffusion.estimates import Noise
from . import minilm
from .base import Model, schedule_of
from .super_resolution import STEPS_2, STEPS_3, Enlarger

PATCH = 8  # pixels along a patch: 8 x 8 patches make an image of 64 x 64


def denoiser(layers: int = 8, heads: int = 5) -> FluxTransformer2DModel:
    """Returns stage 1, untrained: single-stream blocks over 64 patches and 16 word pieces; 5 heads x 64 channels, 13 M.

    The sentence vector and t modulate every block (adaptive normalisation); word pieces are attended to.
    """
    return FluxTransformer2DModel(
        in_channels=3 * PATCH**2 + 64,
        out_channels=3 * PATCH**2,
        num_layers=0,
        num_single_layers=layers,
        num_attention_heads=heads,
        attention_head_dim=64,
        joint_attention_dim=minilm.WIDTH,
        pooled_projection_dim=minilm.WIDTH,
        axes_dims_rope=(16, 24, 24),
    )


def clean(transformer: torch.nn.Module, x: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
    """Predicts x_0 from noisy images x (N, 3, 64, 64) at t (N,) and minilm's tokens (N, 17, 384).

    Each patch carries a one-hot vector of its position, because the transformer's rotary positions are relative.
    """
    n, side = len(x), 64 // PATCH
    patches = x.view(n, 3, side, PATCH, side, PATCH).permute(0, 2, 4, 1, 3, 5).reshape(n, side**2, -1)
    place = torch.eye(side**2, device=x.device, dtype=x.dtype)
    rows, columns = torch.meshgrid(*[torch.arange(1, side + 1, device=x.device)] * 2, indexing="ij")
    answer = transformer(
        torch.cat([patches, place.expand(n, -1, -1)], dim=2),
        pooled_projections=tokens[:, 0],
        encoder_hidden_states=tokens[:, 1:],
        timestep=t / 1000,
        img_ids=torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).view(-1, 3).float(),
        txt_ids=torch.zeros(tokens.shape[1] - 1, 3, device=x.device),
        return_dict=False,
    )[0]
    return answer.view(n, side, side, 3, PATCH, PATCH).permute(0, 3, 1, 4, 2, 5).reshape(x.shape)


def scheduler() -> DDPMScheduler:
    """Returns the cosine schedule, as DeepFloyd's; the network predicts x_0 ("sample"), and the variance is fixed."""
    return DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="sample", variance_type="fixed_small")


class Refiner(ModelMixin, ConfigMixin):
    """Removes the seams between the patches of x_0^, given x_t and sqrt(1 - abar_t).

    Residual 3 x 3 convolutions from (N, 7, H, W), whose first three channels are x_0^, to (N, 3, H, W). Untrained, it
    is the identity on x_0^.
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
    """Returns the refined x_0 from the noisy image and the transformer's x_0^; abar_t (N, 1, 1, 1)."""
    sigma = (1 - abar_t).sqrt().expand(-1, 1, *x.shape[-2:])
    return network(torch.cat([x0, x, sigma], dim=1))


def saved(folder: Path) -> tuple[FluxTransformer2DModel, DDPMScheduler]:
    """Loads stage 1's transformer, in float32, and its scheduler from the folder of the weights."""
    transformer = FluxTransformer2DModel.from_pretrained(folder / "transformer", torch_dtype=torch.float32)
    return transformer.eval(), DDPMScheduler.from_pretrained(folder / "scheduler")


class Pocket(Model):
    """The model; `folder` contains transformer/, refiner/, stage_2/, stage_3/ and scheduler/, saved by diffusers."""

    name = "pocket"
    gamma = 3.0  # from the evaluation in MODEL_CARD.md; at 7 most names saturate

    def __init__(self, folder: Path, digest: str) -> None:
        self.transformer, scheduler = saved(folder)
        self.refiner = Refiner.from_pretrained(folder / "refiner", torch_dtype=torch.float32)
        later = [
            UNet2DConditionModel.from_pretrained(folder / stage, torch_dtype=torch.float32)
            for stage in ("stage_2", "stage_3")
        ]
        self.schedule = schedule_of(scheduler)
        self.digest = digest
        networks = (self.transformer, self.refiner, *later)
        size = sum(parameter.numel() for network in networks for parameter in network.eval().parameters())
        self.description = f"the {size / 1e6:.0f}-million-parameter cascade that ships with this report"
        self._encode = lru_cache(lambda prompt: minilm.encode([prompt])[0])
        self.second = Enlarger(later[0], self.schedule, self._encode, STEPS_2, self)
        self.third = Enlarger(later[1], self.schedule, None, STEPS_3, self)

    def predict(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        x0 = clean(self.transformer, x, t, torch.cat([self._encode(prompt) for prompt in prompts]))
        x0 = refined(self.refiner, x, x0, self.schedule.abar[t].view(-1, 1, 1, 1))
        return Noise(self.schedule.eps_of(x, t, x0))

    @torch.inference_mode()
    def enlarge(self, x: Tensor, prompt: str, generator: torch.Generator) -> Tensor:
        """Enlarges 64 to 256 pixels with stage 2, which reads the prompt; larger images with stage 3."""
        return (self.second if x.shape[-1] == 64 else self.third).enlarge(x, prompt, generator)


def load(folder: Path, digest: str) -> Pocket:
    """Loads pocket from the folder of its weights."""
    logging.disable_progress_bar()
    return Pocket(folder, digest)
