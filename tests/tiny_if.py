"""A DeepFloyd IF in small: random weights in the real classes, saved as diffusers saves the real one.

The prompts it knows are made of the letters a to z and spaces; the images are 16 x 16.
"""

from __future__ import annotations

import string
from pathlib import Path

import torch
from diffusers import DDPMScheduler, IFPipeline, UNet2DConditionModel
from transformers import T5Config, T5EncoderModel, T5Tokenizer

SIZE = 16
WIDTH = 16  # of the text encoder


def save(folder: Path, seed: int = 0) -> Path:
    """Write stage_1/ into the folder, which `generators.models.deepfloyd.load` can then load. Returns the folder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=SIZE,
            in_channels=3,
            out_channels=6,
            block_out_channels=(16, 32),
            layers_per_block=1,
            norm_num_groups=8,
            down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn",
            up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
            act_fn="gelu",
            attention_head_dim=8,
            cross_attention_dim=32,
            cross_attention_norm="group_norm",
            encoder_hid_dim=WIDTH,
            encoder_hid_dim_type="text_proj",
            addition_embed_type="text",
            addition_embed_type_num_heads=2,
            resnet_time_scale_shift="scale_shift",
            time_embedding_act_fn="gelu",
        )
        text_encoder = T5EncoderModel(
            T5Config(
                d_model=WIDTH, d_ff=37, d_kv=8, num_heads=4, num_layers=2, vocab_size=64, feed_forward_proj="gated-gelu"
            )
        )
    letters = [(letter, -3.0) for letter in string.ascii_lowercase]
    scheduler = DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        variance_type="learned_range",
        thresholding=True,
        dynamic_thresholding_ratio=0.95,
        sample_max_value=1.5,
    )
    IFPipeline(
        tokenizer=T5Tokenizer(vocab=[("<pad>", 0), ("</s>", 0), ("<unk>", 0), ("▁", -2), *letters], extra_ids=0),
        text_encoder=text_encoder,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    ).save_pretrained(folder / "stage_1")
    return folder
