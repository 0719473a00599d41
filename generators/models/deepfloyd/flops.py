"""The cost of one forward of a UNet, from its config.json alone."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

TOKENS = 77


def of_unet(config: dict[str, Any], side: int | None = None) -> tuple[int, int]:
    """Returns (parameters, FLOP of one image's forward) of a UNet, built without memory for its weights.

    side: the image's side in pixels, if it differs from the configuration's.
    """
    side, width = side or config["sample_size"], config.get("encoder_hid_dim") or config["cross_attention_dim"]
    labels = {"class_labels": torch.zeros(1, dtype=torch.long, device="meta")}
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        unet = UNet2DConditionModel.from_config(config)
        unet(
            torch.zeros(1, config["in_channels"], side, side),
            torch.zeros(1),
            encoder_hidden_states=torch.zeros(1, TOKENS, width),
            **(labels if unet.class_embedding is not None else {}),
        )
    return sum(parameter.numel() for parameter in unet.parameters()), counter.get_total_flops()
