"""DeepFloyd's first UNet for large batches: everything that depends on the text alone is computed once.

See report/benchmarks.md for measurements.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from ...diffusion.estimates import Noise

BATCHES = 8  # cached batches of texts; the tasks of a section ask with the same prompts at every step


def noise_of(answer: Tensor) -> Noise:
    """Splits the six channels of an IF UNet: eps, and v in -1 … 1, which interpolates the variance between its
    bounds."""
    eps, v = answer.chunk(2, dim=1)
    return Noise(eps, (v + 1) / 2)


class _Projected(UNet2DConditionModel):
    """A UNet whose caller passes the text as projected by `encoder_hid_proj` and `add_embedding`."""

    def process_encoder_hidden_states(self, encoder_hidden_states, added_cond_kwargs):
        return encoder_hidden_states

    def get_aug_embed(self, emb, encoder_hidden_states, added_cond_kwargs):
        return added_cond_kwargs["pooled"]


class CachedTextUNet:
    """An IF UNet as a function of noisy images, timesteps and prompts; in float32 bit-identical to the UNet's own
    output.

    unet: of IF's architecture, with 6 output channels (eps and the learned variance); half precision is converted to
    channels-last in place. encode: returns a prompt's text embedding, (1, tokens, channels), on the UNet's device and
    in its dtype.
    """

    def __init__(self, unet: UNet2DConditionModel, encode: Callable[[str], Tensor]) -> None:
        self.dtype = unet.dtype
        network = copy.copy(unet)  # a different class with the same weights
        network.__class__ = _Projected
        self.network: nn.Module = network
        self.set_layout(torch.contiguous_format if self.dtype == torch.float32 else torch.channels_last)

        def texts(prompts: tuple[str, ...]) -> tuple[Tensor, Tensor]:
            states = torch.cat([encode(prompt) for prompt in prompts])
            return unet.encoder_hid_proj(states), unet.add_embedding(states)

        # Cached per batch, not per prompt: matrix products of another height may round differently.
        self._texts = lru_cache(BATCHES)(texts)

    def set_layout(self, layout: torch.memory_format) -> None:
        """Converts the weights, and from then on the images, to a memory format."""
        self.layout = layout
        self.network.to(memory_format=layout)  # type: ignore[call-overload]  # which torch's stubs do not know alone

    def compile(self) -> None:
        """Compiles the network at its next call: once for batches of two or more images, and once for one image."""
        self.network.compile(fullgraph=True, dynamic=True)

    def __call__(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Noise:
        """Runs one forward on x (N, 3, H, W) float32, t (N,) int64 and N prompts; the result has x's dtype."""
        states, pooled = self._texts(tuple(prompts))
        answer = self.network(
            x.to(self.dtype, memory_format=self.layout),
            t,
            encoder_hidden_states=states,
            added_cond_kwargs={"pooled": pooled},
            return_dict=False,
        )[0]
        return noise_of(answer.to(x.dtype))
