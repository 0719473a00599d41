"""The components of the cascade: how each is made from its configuration, and whether its files fit it.

`fault_of` tells before a run what loading would find, or what would stop the run when its stage begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from ...records.errors import ModelError
from .. import networks, saved
from . import disk

CHANNELS = {"stage_1": (3, 6), "stage_2": (6, 6), "stage_3": (7, 4)}  # of the UNets' inputs and outputs
LATENTS, ENLARGED = 4, 4  # channels of stage 3's latents; pixels of a side of its images for each of theirs
CLIP = "text_model."
SCHEDULERS: dict[str, Any] = {"stage_1": DDPMScheduler, "stage_2": DDPMScheduler, "stage_3": DDIMScheduler}


def unet(stage: Path) -> UNet2DConditionModel:
    """Makes the UNet that a stage's configuration describes."""
    return UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(stage / "unet"))


def vae(stage: Path) -> AutoencoderKL:
    """Makes stage 3's autoencoder."""
    return AutoencoderKL.from_config(AutoencoderKL.load_config(stage / "vae"))


def t5(stage: Path) -> T5EncoderModel:
    """Makes stage 1's text encoder."""
    return T5EncoderModel(T5Config.from_pretrained(stage / "text_encoder"))


def scheduler(stage: Path, component: str, name: str) -> Any:
    """Loads a scheduler of the stage called `name`. Raises ModelError if its configuration describes none."""
    kind = SCHEDULERS[name] if component == "scheduler" else DDPMScheduler
    return networks.scheduler(kind, stage / component)


def fault_of(name: str, stage: Path, components: Iterable[str]) -> str | None:
    """Returns what is wrong with these components of the stage called `name`, in one line; None if nothing is.

    stage: its folder, in which no file is missing.
    """
    try:
        for component in components:
            if component.endswith("scheduler"):
                scheduler(stage, component, name)
            elif component in saved.NETWORKS:
                _check_network(name, stage, component)
    except ModelError as error:
        return str(error)
    return None


def _check_network(name: str, stage: Path, component: str) -> None:
    tensors, config = disk.Tensors(stage, component, torch.float32), stage / component / "config.json"
    if component == "unet":
        found = disk.build_empty(lambda: unet(stage), tensors).config
        channels = found.in_channels, found.out_channels
        if channels != CHANNELS[name]:
            takes = "{} channels to {}".format
            raise ModelError(f"{config} is of a UNet from {takes(*channels)}; {name} takes {takes(*CHANNELS[name])}")
    elif component == "vae":
        _check_vae(disk.build_empty(lambda: vae(stage), tensors), config)
    elif name == "stage_1":
        tensors.tie(*disk.TIED)
        disk.build_empty(lambda: t5(stage), tensors)
    else:
        encoder = networks.empty(lambda: CLIPTextModel(CLIPTextConfig.from_pretrained(stage / component)), config)
        # Saved files name the weights with this prefix or without it, and so do versions of transformers.
        wanted = {each.removeprefix(CLIP): tensor for each, tensor in encoder.state_dict().items()}
        shapes = {each.removeprefix(CLIP): tensors.shape(each) for each in tensors}
        networks.check_fit(wanted, shapes, tensors.folder)


def _check_vae(found: AutoencoderKL, config: Path) -> None:
    factor, scale = found.config.scaling_factor, 2 ** (len(found.config.block_out_channels) - 1)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
        raise ModelError(f"{config}: scaling_factor is {factor!r}, not a positive number; fetch the file again")
    if (found.config.latent_channels, scale) != (LATENTS, ENLARGED):
        raise ModelError(
            f"{config} is of an autoencoder of {found.config.latent_channels} channels that enlarges by {scale}; "
            f"stage_3 takes {LATENTS} channels and enlarges by {ENLARGED}"
        )
