"""Writes DeepFloyd IF in its published configurations with random float16 weights, in the layout of the real files.

No network is ever whole in memory: networks are shapes only (`meta`), and each file's tensors are generated as it is
written. The layouts of stage 2 and of the upscaler are inferred from their published sizes (parameters and FLOP),
because their configuration files were not available.
"""

from __future__ import annotations

import errno
import json
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
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, PreTrainedModel, T5Config, T5EncoderModel

from ..records.errors import ModelError
from .configurations import CONFIGURATIONS, first, random_weights, scheduler, unet

SHARD = 10**9  # bytes of a file, all in memory while it is written

T5_XXL = T5Config(d_model=4096, d_ff=10240, num_heads=64, num_layers=24, feed_forward_proj="gated-gelu")


def second() -> UNet2DConditionModel:
    """IF-II-L: 1.13 billion parameters, 2.98 TFLOP an evaluation."""
    return unet(
        (160, 320, 640, 960, 1280),
        attending=2,
        sample_size=256,
        in_channels=6,
        layers_per_block=(2, 2, 3, 5, 5),
        attention_head_dim=64,
        only_cross_attention=True,
        mid_block_only_cross_attention=True,
        encoder_hid_dim=4096,
        class_embed_type="timestep",
    )


def third() -> dict[str, Any]:
    """The x4 upscaler: UNet, autoencoder and text encoder, 0.87 billion parameters."""
    return {
        "unet": UNet2DConditionModel(
            sample_size=128,
            in_channels=7,
            block_out_channels=(256, 512, 512, 1024),
            down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * 3),
            up_block_types=(*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"),
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
            sample_size=256,
            scaling_factor=0.08333,
        ),
        "text_encoder": CLIPTextModel(
            CLIPTextConfig(
                hidden_size=1024,
                intermediate_size=4096,
                num_attention_heads=16,
                num_hidden_layers=23,
                hidden_act="gelu",
            )
        ),
    }


def components(configuration: str) -> dict[str, Any]:
    """Returns the cascade's networks by folder, on `meta`; `configuration` is that of the first UNet."""
    with torch.device("meta"):
        return {
            "stage_1/unet": first(CONFIGURATIONS[configuration]),
            "stage_1/text_encoder": T5EncoderModel(T5_XXL),
            "stage_2/unet": second(),
            **{f"stage_3/{name}": network for name, network in third().items()},
        }


def size(configuration: str) -> int:
    """Returns the bytes of all files."""
    return sum(2 * tensor.numel() for net in components(configuration).values() for tensor in _state(net).values())


def write(folder: Path, configuration: str, tell: Callable[[str, float], None]) -> None:
    """Writes stage_1/ with this configuration's UNet and T5-XXL, stage_2/ and stage_3/ into the folder.

    tell: called with each written file and the fraction of bytes done. Raises ModelError if the disk is full.
    """
    done, whole = 0, size(configuration)
    try:
        for name, net in components(configuration).items():
            for file, written in write_component(folder / name, net):
                done += written
                tell(f"wrote {name}/{file}", done / whole)
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


def write_component(folder: Path, net: Any) -> Iterator[tuple[str, int]]:
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
        tensors = {name: random_weights(name, state[name], generator) for name in names}
        save_file(tensors, folder / file, {"format": "pt"})
        yield file, sum(tensor.nbytes for tensor in tensors.values())
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / f"{stem}.safetensors.index.fp16.json").write_text(json.dumps(index), encoding="utf-8")


def _write_rest(folder: Path) -> None:
    """Writes schedulers and tokenizers."""
    scaled = {"beta_schedule": "scaled_linear"}
    schedulers = {
        "stage_1/scheduler": scheduler(1.5),
        "stage_2/scheduler": scheduler(1.0),
        "stage_2/image_noising_scheduler": DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        "stage_3/low_res_scheduler": DDPMScheduler(**scaled),
        "stage_3/scheduler": DDIMScheduler(
            **scaled, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False
        ),
    }
    for name, found in schedulers.items():
        found.save_pretrained(folder / name)
    tokenizer = folder / "stage_1/tokenizer"
    tokenizer.mkdir(exist_ok=True)
    (tokenizer / "spiece.model").write_bytes(sentence_pieces())
    letters = [f"{letter}{end}" for end in ("", "</w>") for letter in string.ascii_lowercase]
    vocabulary = {token: k for k, token in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77).save_pretrained(folder / "stage_3/tokenizer")


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
