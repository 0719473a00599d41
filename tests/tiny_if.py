"""A DeepFloyd IF in small: random weights in the real classes, saved as diffusers saves the real one.

The prompts it knows are made of the letters a to z and spaces; others become unknown tokens.
"""

from __future__ import annotations

import string
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    IFPipeline,
    IFSuperResolutionPipeline,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from generators.bench.random_weights import sentence_pieces

SIZE = 16  # of stage 1's images, unless told otherwise
WIDTH = 16  # of the text encoder
UNCHECKED = {"safety_checker": None, "feature_extractor": None, "watermarker": None, "requires_safety_checker": False}


def save(folder: Path, seed: int = 0, size: int = SIZE, later: bool = False, variant: str | None = None) -> Path:
    """Write stage_1/, and where `later` stages 2 and 3, into the folder. Returns the folder.

    size: of stage 1's images; stage 2's have four times as many pixels a side. variant: "fp16" as the real ones. Above
    16 pixels the networks are calm (see `_calm`).
    """
    dtype = torch.float16 if variant == "fp16" else torch.float32
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text_encoder = T5EncoderModel(
            T5Config(
                d_model=WIDTH, d_ff=37, d_kv=8, num_heads=4, num_layers=2, vocab_size=64, feed_forward_proj="gated-gelu"
            )
        )
        stages = {"stage_1": _stage_1(text_encoder, size)}
        if later:
            stages |= {"stage_2": _stage_2(4 * size), "stage_3": _stage_3()}
        if size > SIZE:
            for name in stages.keys() - {"stage_3"}:
                _calm(stages[name].unet)
    for name, stage in stages.items():
        stage.to(dtype).save_pretrained(folder / name, variant=variant)
    tokenizer = folder / "stage_1" / "tokenizer"
    (tokenizer / "tokenizer.json").unlink()
    (tokenizer / "spiece.model").write_bytes(sentence_pieces())
    return folder


def _calm(unet: UNet2DConditionModel) -> None:
    """Make a UNet of random weights one that takes every image for grey, but for a little.

    Pure noise, which is what random weights draw, fills a page with megabytes. Here x goes by the first skip connection
    to the last normalisation, which divides it by its standard deviation: the noise in x, if what is under it is grey.
    A bias of 4 keeps it in the linear part of the activation.
    """
    last = unet.up_blocks[-1].resnets[-1]
    with torch.no_grad():
        last.conv2.weight *= 0.05
        shortcut = last.conv_shortcut.weight
        for layer, first in ((unet.conv_in, 0), (last.conv_shortcut, shortcut.shape[1] // 2), (unet.conv_out, 0)):
            middle = layer.weight.shape[-1] // 2
            layer.weight[:3] = 0
            for k in range(3):
                layer.weight[k, first + k, middle, middle] = 1
        unet.conv_in.bias[:3] = 0
        unet.conv_norm_out.bias[:] = 4
        unet.conv_out.bias[:3] = -4


def _stage_1(text_encoder: T5EncoderModel, size: int) -> IFPipeline:
    letters = [(letter, -3.0) for letter in string.ascii_lowercase]
    return IFPipeline(
        tokenizer=T5Tokenizer(vocab=[("<pad>", 0), ("</s>", 0), ("<unk>", 0), ("▁", -2), *letters], extra_ids=0),
        text_encoder=text_encoder,
        unet=_unet(size, 3, (16, 32) if size == SIZE else (8, 8)),
        scheduler=_scheduler(1.5),
        **UNCHECKED,
    )


def _stage_2(size: int) -> IFSuperResolutionPipeline:
    return IFSuperResolutionPipeline(
        tokenizer=None,
        text_encoder=None,
        unet=_unet(size, 6, (4, 4), class_embed_type="timestep"),
        scheduler=_scheduler(1.0),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        **UNCHECKED,
    )


def _unet(size: int, channels: int, widths: tuple[int, int], **more) -> UNet2DConditionModel:
    unet = UNet2DConditionModel(
        sample_size=size,
        in_channels=channels,
        out_channels=6,
        block_out_channels=widths,
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        act_fn="gelu",
        attention_head_dim=min(8, *widths),
        only_cross_attention=size > SIZE,  # attention over all of a large image is what takes the time
        mid_block_only_cross_attention=size > SIZE,
        cross_attention_dim=32,
        cross_attention_norm="group_norm",
        encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="text_proj",
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        resnet_time_scale_shift="scale_shift",
        time_embedding_act_fn="gelu",
        **more,
    )
    return unet


def _scheduler(most: float) -> DDPMScheduler:
    return DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        variance_type="learned_range",
        thresholding=True,
        dynamic_thresholding_ratio=0.95,
        sample_max_value=most,
    )


def _stage_3() -> StableDiffusionUpscalePipeline:
    """An autoencoder that enlarges by 4 as the real one's does, a UNet and a CLIP text encoder."""
    letters = [f"{letter}{end}" for end in ("", "</w>") for letter in string.ascii_lowercase]
    vocabulary = {token: k for k, token in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    vae = AutoencoderKL(
        block_out_channels=(4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=2,
        mid_block_add_attention=False,
    )
    torch.nn.init.normal_(vae.decoder.conv_out.weight, std=0.01)  # pale pictures, for they have a million pixels
    return StableDiffusionUpscalePipeline(
        vae=vae,
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                hidden_size=8,
                intermediate_size=16,
                num_attention_heads=2,
                num_hidden_layers=1,
                vocab_size=len(vocabulary),
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
            )
        ),
        tokenizer=CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77),
        unet=UNet2DConditionModel(
            in_channels=7,
            out_channels=4,
            block_out_channels=(4, 4),
            layers_per_block=1,
            norm_num_groups=2,
            down_block_types=("DownBlock2D", "DownBlock2D"),
            mid_block_type=None,
            up_block_types=("UpBlock2D", "UpBlock2D"),
            cross_attention_dim=8,
            num_class_embeds=1000,
        ),
        low_res_scheduler=DDPMScheduler(),
        scheduler=DDIMScheduler(prediction_type="v_prediction"),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
    )
