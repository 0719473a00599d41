"""Prompts to embeddings: each encoded once by T5, kept on disk, and read from there by the stages.

T5-XXL is larger than any UNet of the cascade. So all the prompts of a report are encoded before a UNet is loaded, and
T5 is never there as a whole: its weights wait on disk, and all the prompts pass its first layer, then the second, and
so on. That is one reading of the file, and one layer of memory, on any machine; each prompt is still encoded alone, so
that its embedding does not depend on the others. It is in float32 everywhere: the embeddings of one machine are
another's, up to rounding.

Prompts are lower-cased and stripped and otherwise left as they are (diffusers' clean_caption=False; its pipelines
default to True where they are called, and to False in `encode_prompt`). An embedding is found by the SHA-256 of all
that it depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import IFPipeline
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from ...diffusion.batching import ask, run
from .. import ModelError
from . import disk

CLEAN_CAPTION = False
FORM = "float32"


class Embeddings(NamedTuple):
    """The embeddings that one text encoder, called `encoder`, made, in a folder."""

    folder: Path
    encoder: str

    def path(self, prompt: str) -> Path:
        key = json.dumps([prompt, self.encoder, FORM, {"clean_caption": CLEAN_CAPTION}])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"

    def missing(self, prompts: Sequence[str]) -> list[str]:
        return [prompt for prompt in prompts if not self.path(prompt).is_file()]

    def read(self, prompt: str) -> Tensor:
        """The embedding of a prompt, (1, 77, width), as T5 gave it. Raises ModelError where it was not made before."""
        path = self.path(prompt)
        if not path.is_file():
            raise ModelError(f"the prompt “{prompt}” has no embedding; prepare the model with it before loading it")
        try:
            return load_file(path)["embedding"]
        except (SafetensorError, KeyError) as error:
            raise ModelError(f"{path} is damaged; remove it, and run the same command again") from error

    def write(self, prompt: str, embedding: Tensor) -> None:
        """Keep an embedding: written beside and renamed, so that what is there is whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(prompt)
        part = path.with_suffix(f".{os.getpid()}.part")
        metadata = {"prompt": prompt, "encoder": self.encoder, "form": FORM, "clean_caption": str(CLEAN_CAPTION)}
        save_file({"embedding": embedding.cpu().contiguous()}, part, metadata)
        part.replace(path)


def encode(
    prompts: Sequence[str],
    kept: Embeddings,
    stage: Path,
    variant: str | None,
    device: torch.device,
    tell: Callable[[int, int], None] = lambda layer, layers: None,
) -> None:
    """Encode the prompts by the T5 in stage 1's folder. tell: hears which layer the prompts pass, of how many.

    Raises ModelError where the weights are not T5's.
    """
    tensors = disk.Tensors(stage / "text_encoder", variant, getattr(torch, FORM))
    tensors.tie("shared.weight", "encoder.embed_tokens.weight")
    config = T5Config.from_pretrained(stage / "text_encoder")
    encoder = disk.empty(lambda: T5EncoderModel(config), tensors)
    layers = {
        "encoder.embed_tokens.": encoder.encoder.embed_tokens,
        **{f"encoder.block.{k}.": block for k, block in enumerate(encoder.encoder.block)},
        "encoder.final_layer_norm.": encoder.encoder.final_layer_norm,
    }
    for number, (prefix, layer) in enumerate(layers.items(), 1):
        _in_step(layer, partial(disk.present, layer, tensors, device, prefix), partial(tell, number, len(layers)))
    pipeline = IFPipeline(
        tokenizer=T5Tokenizer.from_pretrained(stage / "tokenizer"),
        text_encoder=encoder,
        unet=None,
        scheduler=None,
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )
    work = partial(
        pipeline.encode_prompt, do_classifier_free_guidance=False, device=device, clean_caption=CLEAN_CAPTION
    )
    with torch.inference_mode():
        for prompt, task in zip(prompts, run([partial(work, prompt) for prompt in prompts]), strict=True):
            embedding, _ = task.result
            kept.write(prompt, embedding)
    torch.cuda.empty_cache()


def _in_step(layer: nn.Module, present: Callable[[], AbstractContextManager[None]], tell: Callable[[], None]) -> None:
    """Let all tasks that call this layer wait for each other; then each is answered alone, by weights read once."""
    forward = layer.forward

    def answer(calls: list[tuple[tuple[Any, ...], dict[str, Any]]]) -> list[Any]:
        tell()
        with present():
            return [forward(*arguments, **named) for arguments, named in calls]

    layer.forward = lambda *arguments, **named: ask((arguments, named), answer)
