"""DeepFloyd's first UNet, called with many images at once: what its answer takes from the text alone is made once.

report/benchmarks.md says what was measured of it, and what was not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from ..diffusion.estimates import Noise

BATCHES = 8  # whose texts are kept; the tasks of a section ask with the same prompts, step after step


def noise_of(answer: Tensor) -> Noise:
    """The six channels of an IF UNet: eps, and v in -1 … 1, where the variance lies between its bounds."""
    eps, v = answer.chunk(2, dim=1)
    return Noise(eps, (v + 1) / 2)


class _Projected(UNet2DConditionModel):
    """A UNet whose callers bring the text as `encoder_hid_proj` and `add_embedding` leave it."""

    def process_encoder_hidden_states(self, encoder_hidden_states, added_cond_kwargs):
        return encoder_hidden_states

    def get_aug_embed(self, emb, encoder_hidden_states, added_cond_kwargs):
        return added_cond_kwargs["pooled"]


class CachedTextUNet:
    """An IF UNet as a function of noisy images, timesteps and prompts; the UNet's own answers, in float32 to the bit.

    unet: of IF's kind, with 6 output channels (eps and the learned variance). Half precision is put into channels last,
    in place; float32 is left as it is. encode: from a prompt to its text embedding, (1, tokens, channels), on the
    UNet's device and in its dtype.
    """

    def __init__(self, unet: UNet2DConditionModel, encode: Callable[[str], Tensor]) -> None:
        self.dtype = unet.dtype
        self.layout = torch.contiguous_format if self.dtype == torch.float32 else torch.channels_last
        network = copy.copy(unet.to(memory_format=self.layout))  # another class, the same weights
        network.__class__ = _Projected
        self.network: nn.Module = network

        def texts(prompts: tuple[str, ...]) -> tuple[Tensor, Tensor]:
            states = torch.cat([encode(prompt) for prompt in prompts])
            return unet.encoder_hid_proj(states), unet.add_embedding(states)

        # By the batch and not by the prompt: matrices of another height may be multiplied with other roundings.
        self._texts = lru_cache(BATCHES)(texts)

    def compile(self) -> None:
        """Have the network compiled at its next call: once for all batches of two images and more, and one for one."""
        self.network.compile(fullgraph=True, dynamic=True)

    def __call__(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        """One forward: x (N, 3, H, W) float32, t (N,) int64, N prompts; the answer in x's dtype."""
        states, pooled = self._texts(tuple(prompts))
        answer = self.network(
            x.to(self.dtype, memory_format=self.layout),
            t,
            encoder_hidden_states=states,
            added_cond_kwargs={"pooled": pooled},
            return_dict=False,
        )[0]
        return noise_of(answer.to(x.dtype))
