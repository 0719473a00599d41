"""Writes DeepFloyd IF in its published configurations with random float16 weights, in the layout of the real files.

No network is ever whole in memory: networks are shapes only (`meta`), and each file's tensors are generated as it is
written. The layouts of stage 2 and of the upscaler are inferred from their published sizes (parameters and FLOP),
because their configuration files were not available.
"""

from __future__ import annotations

import errno
import json
import math
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError
from safetensors.torch import save_file
from sentencepiece import sentencepiece_model_pb2
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedModel, T5Config, T5EncoderModel

from ..records.errors import ModelError
from .configurations import CONFIGURATIONS, network

SHARD = 10**9  # bytes of a file, all in memory while it is written

T5_XXL = T5Config(
    d_model=4096, d_ff=10240, d_kv=64, num_heads=64, num_layers=24, vocab_size=32128, feed_forward_proj="gated-gelu"
)


def second() -> UNet2DConditionModel:
    """IF-II-L: 1.13 billion parameters, 2.98 TFLOP an evaluation."""
    return UNet2DConditionModel(
        sample_size=256,
        in_channels=6,
        out_channels=6,
        block_out_channels=(160, 320, 640, 960, 1280),
        layers_per_block=(2, 2, 3, 5, 5),
        down_block_types=(*["ResnetDownsampleBlock2D"] * 3, *["SimpleCrossAttnDownBlock2D"] * 2),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=(*["SimpleCrossAttnUpBlock2D"] * 2, *["ResnetUpsampleBlock2D"] * 3),
        act_fn="gelu",
        attention_head_dim=64,
        only_cross_attention=True,
        mid_block_only_cross_attention=True,
        cross_attention_dim=1280,
        cross_attention_norm="group_norm",
        encoder_hid_dim=4096,
        encoder_hid_dim_type="text_proj",
        addition_embed_type="text",
        addition_embed_type_num_heads=64,
        class_embed_type="timestep",
        resnet_time_scale_shift="scale_shift",
        time_embedding_act_fn="gelu",
    )


def third() -> dict[str, Any]:
    """The x4 upscaler: UNet, autoencoder and text encoder, 0.87 billion parameters."""
    return {
        "unet": UNet2DConditionModel(
            sample_size=128,
            in_channels=7,
            out_channels=4,
            block_out_channels=(256, 512, 512, 1024),
            down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * 3),
            up_block_types=(*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"),
            attention_head_dim=8,
            only_cross_attention=(True, True, True, False),
            cross_attention_dim=1024,
            use_linear_projection=True,
            num_class_embeds=1000,
        ),
        "vae": AutoencoderKL(
            block_out_channels=(128, 256, 512),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            layers_per_block=2,
            latent_channels=4,
            sample_size=256,
            scaling_factor=0.08333,
        ),
        "text_encoder": CLIPTextModel(
            CLIPTextConfig(
                hidden_size=1024,
                intermediate_size=4096,
                num_attention_heads=16,
                num_hidden_layers=23,
                projection_dim=512,
                hidden_act="gelu",
            )
        ),
    }


def parts(configuration: str) -> dict[str, Any]:
    """Returns the cascade's networks by folder, on `meta`; `configuration` is that of the first UNet."""
    with torch.device("meta"):
        return {
            "stage_1/unet": network(CONFIGURATIONS[configuration], "meta", torch.float16),
            "stage_1/text_encoder": T5EncoderModel(T5_XXL),
            "stage_2/unet": second(),
            **{f"stage_3/{name}": part for name, part in third().items()},
        }


def size(configuration: str) -> int:
    """Returns the bytes of all files."""
    return sum(2 * tensor.numel() for net in parts(configuration).values() for tensor in _state(net).values())


def write(folder: Path, configuration: str, tell: Callable[[str, float], None]) -> None:
    """Writes stage_1/ with this configuration's UNet and T5-XXL, stage_2/ and stage_3/ into the folder.

    tell: called with each written file and the fraction of bytes done. Raises ModelError if the disk is full.
    """
    done, whole = 0, size(configuration)
    try:
        for name, net in parts(configuration).items():
            for file, written in _write_part(folder / name, net):
                done += written
                tell(f"{name}/{file}", done / whole)
        _write_rest(folder)
    except (OSError, SafetensorError) as error:
        full = isinstance(error, SafetensorError) or error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else str(error)
        raise ModelError(f"{folder}: {why}; free some space, and run the same command again") from error


def _state(net: nn.Module) -> dict[str, Tensor]:
    """Returns a network's saved tensors."""
    state = nn.Module.to(net, torch.float16).state_dict()
    state.pop("encoder.embed_tokens.weight", None)  # tied to `shared`
    return state


def _write_part(folder: Path, net: Any) -> Iterator[tuple[str, int]]:
    """Writes a network's files; yields each name and the bytes of its tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(net, PreTrainedModel):
        stem = "model"
        net.config.save_pretrained(folder)
    else:
        stem = "diffusion_pytorch_model"
        net.save_config(folder)
    state = _state(net)
    split = split_torch_state_dict_into_shards(
        state, max_shard_size=SHARD, filename_pattern=f"{stem}.fp16{{suffix}}.safetensors"
    )
    generator = torch.Generator().manual_seed(0)
    for file, names in split.filename_to_tensors.items():
        part = folder / f"{file}.part"
        save_file({name: _random(name, state[name], generator) for name in names}, part, {"format": "pt"})
        part.rename(folder / file)
        yield file, sum(2 * state[name].numel() for name in names)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / f"{stem}.safetensors.index.fp16.json").write_text(json.dumps(index), encoding="utf-8")


def _random(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    """Generates weights that keep activations within float16: norms 1, biases 0, matrices scaled by their width."""
    if like.dim() < 2:
        return torch.full(like.shape, float(name.endswith("weight")), dtype=like.dtype)
    scale = 1 / math.sqrt(math.prod(like.shape[1:]))
    return (torch.randn(like.shape, generator=generator) * scale).to(like.dtype)


def _write_rest(folder: Path) -> None:
    """Writes schedulers and tokenizers."""
    cosine = {"beta_schedule": "squaredcos_cap_v2"}
    learned = {**cosine, "variance_type": "learned_range", "thresholding": True, "dynamic_thresholding_ratio": 0.95}
    DDPMScheduler(**learned, sample_max_value=1.5).save_pretrained(folder / "stage_1/scheduler")
    DDPMScheduler(**learned, sample_max_value=1.0).save_pretrained(folder / "stage_2/scheduler")
    DDPMScheduler(**cosine).save_pretrained(folder / "stage_2/image_noising_scheduler")
    scaled = {"beta_schedule": "scaled_linear", "beta_start": 0.0001, "beta_end": 0.02}
    DDPMScheduler(**scaled).save_pretrained(folder / "stage_3/low_res_scheduler")
    DDIMScheduler(**scaled, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False).save_pretrained(
        folder / "stage_3/scheduler"
    )
    tokenizer = folder / "stage_1/tokenizer"
    tokenizer.mkdir(exist_ok=True)
    (tokenizer / "spiece.model").write_bytes(sentence_pieces())
    clip_tokenizer(folder / "stage_3/tokenizer")


def sentence_pieces() -> bytes:
    """Returns a SentencePiece model, the format of the real stage 1, that knows only the letters a to z."""
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at run time
    pieces = [("<pad>", 0, 3), ("</s>", 0, 3), ("<unk>", 0, 2), ("▁", -2, 1)]
    for piece, score, kind in [*pieces, *((letter, -3, 1) for letter in string.ascii_lowercase)]:
        model.pieces.add(piece=piece, score=score, type=kind)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type, trainer.pad_id, trainer.eos_id, trainer.unk_id, trainer.bos_id = 1, 0, 1, 2, -1
    normalizer.add_dummy_prefix = normalizer.remove_extra_whitespaces = normalizer.escape_whitespaces = True
    return model.SerializeToString()


def clip_tokenizer(folder: Path) -> None:
    """Writes stage 3's tokenizer, also for letters only."""
    from transformers import CLIPTokenizer

    letters = [f"{letter}{end}" for end in ("", "</w>") for letter in string.ascii_lowercase]
    vocabulary = {token: k for k, token in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77).save_pretrained(folder)
