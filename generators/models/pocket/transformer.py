"""The network of pocket's stage 1: diffusers' FluxTransformer2DModel with single-stream blocks only, bit for bit.

It has the same tensors under the same names and imports torch alone, because importing diffusers takes longer than
drawing a small section. Training and the pipeline use diffusers' own.

A single-stream block computes attention and MLP side by side (Dehghani et al. 2023, "Scaling Vision Transformers to 22
Billion Parameters", section 2.1), over text and image tokens together. The sentence and t modulate it by adaptive
normalisation (Peebles and Xie 2023, "Scalable Diffusion Models with Transformers", section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from .. import saved

THETA = 10_000  # the longest wavelength of rotary positions and of timesteps
FREQUENCIES = 256  # of a timestep


class Embedder(nn.Module):
    """Two layers over a vector: (N, `channels`) to (N, `width`)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(channels, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(x)))


class Modulation(nn.Module):
    """Layer normalisation, scaled and shifted as the conditioning says."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.linear, self.parts = nn.Linear(width, parts * width), parts

    def forward(self, conditioning: Tensor) -> tuple[Tensor, ...]:
        return self.linear(F.silu(conditioning)).chunk(self.parts, dim=1)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalises tokens (N, L, C), and scales and shifts them by (N, C)."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]


class Attention(nn.Module):
    """Self-attention with normalised queries and keys, and rotary positions."""

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.norm_q, self.norm_k = (nn.RMSNorm(head, eps=1e-6) for _ in range(2))
        self.head = head

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        q, k, v = (to(x).unflatten(-1, (-1, self.head)) for to in (self.to_q, self.to_k, self.to_v))
        q, k = rotated(self.norm_q(q), *rotary), rotated(self.norm_k(k), *rotary)
        q, k, v = (each.permute(0, 2, 1, 3) for each in (q, k, v))
        found = F.scaled_dot_product_attention(q, k, v)
        return found.permute(0, 2, 1, 3).flatten(2, 3)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns each pair of channels of x, (N, L, H, D), by its position's angles, (L, D)."""
    real, imaginary = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    turned = torch.stack([-imaginary, real], dim=-1).flatten(3)
    return x * cos[None, :, None, :] + turned * sin[None, :, None, :]


def rotary(ids: Tensor, widths: list[int]) -> tuple[Tensor, Tensor]:
    """Returns cosines and sines, (L, D), of the angles of positions `ids`, (L, axes), with so many channels an axis."""
    angles = []
    for place, width in zip(ids.float().unbind(1), widths, strict=True):
        frequencies = 1.0 / THETA ** (torch.arange(0, width, 2, dtype=torch.float64, device=ids.device) / width)
        angles.append(torch.outer(place, frequencies).repeat_interleave(2, dim=1))
    together = torch.cat(angles, dim=1)
    return together.cos().float(), together.sin().float()


def of_timestep(t: Tensor) -> Tensor:
    """Returns the cosines and sines of a timestep, (N,), at `FREQUENCIES` / 2 frequencies, (N, FREQUENCIES)."""
    half = FREQUENCIES // 2
    exponents = -math.log(THETA) * torch.arange(half, dtype=torch.float32, device=t.device) / half
    angles = t[:, None].float() * torch.exp(exponents)[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Block(nn.Module):
    """A single-stream block, with an MLP of four times the width."""

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.norm, self.attn = Modulation(width, 3), Attention(width, head)
        self.proj_mlp, self.proj_out = nn.Linear(width, 4 * width), nn.Linear(5 * width, width)

    def forward(self, x: Tensor, conditioning: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        shift, scale, gate = self.norm(conditioning)
        seen = modulated(x, shift, scale)
        both = torch.cat([self.attn(seen, angles), F.gelu(self.proj_mlp(seen), approximate="tanh")], dim=2)
        return x + gate[:, None] * self.proj_out(both)


class Transformer(nn.Module):
    """The network, as its config.json describes it. Raises KeyError for a configuration of another kind of network."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        head, text = config["attention_head_dim"], config["pooled_projection_dim"]
        width, self.axes = head * config["num_attention_heads"], config["axes_dims_rope"]
        embedders = {"timestep_embedder": Embedder(FREQUENCIES, width), "text_embedder": Embedder(text, width)}
        self.time_text_embed = nn.ModuleDict(embedders)
        self.context_embedder = nn.Linear(config["joint_attention_dim"], width)
        self.x_embedder = nn.Linear(config["in_channels"], width)
        self.single_transformer_blocks = nn.ModuleList(Block(width, head) for _ in range(config["num_single_layers"]))
        self.norm_out, self.proj_out = Modulation(width, 2), nn.Linear(width, config["out_channels"])

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        pooled_projections: Tensor,
        timestep: Tensor,
        img_ids: Tensor,
        txt_ids: Tensor,
        return_dict: bool = False,
    ) -> tuple[Tensor]:
        """See FluxTransformer2DModel.forward; always returns a tuple."""
        embed = self.time_text_embed
        t = embed["timestep_embedder"](of_timestep(timestep.to(hidden_states.dtype) * 1000))
        conditioning = t + embed["text_embedder"](pooled_projections)
        angles = rotary(torch.cat([txt_ids, img_ids]), self.axes)
        x = torch.cat([self.context_embedder(encoder_hidden_states), self.x_embedder(hidden_states)], dim=1)
        for block in self.single_transformer_blocks:
            x = block(x, conditioning, angles)
        scale, shift = self.norm_out(conditioning)
        return (self.proj_out(modulated(x[:, len(txt_ids) :], shift, scale)),)


def load(folder: Path) -> Transformer:
    """Loads the network that diffusers saved in that folder, in float32. Raises RuntimeError for a configuration or
    weights of another network."""
    try:
        with torch.device("meta"):
            network = Transformer(saved.json_object(folder, "config.json"))
    except (LookupError, TypeError, ValueError) as error:
        raise RuntimeError(f"{folder.name}/config.json does not describe the network ({error!r})") from error
    state: dict[str, Tensor] = {}
    for name in saved.weights(folder.parent, folder.name, (None,)):
        state |= {key: tensor.float() for key, tensor in load_file(folder / name).items()}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False)
