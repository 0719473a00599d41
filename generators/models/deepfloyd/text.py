"""Prompts to embeddings: each encoded once by T5, kept on disk, and read from there by the stages.

T5-XXL is larger than any UNet of the cascade. So all the prompts of a report are encoded before a UNet is loaded, and
T5 is freed; where all are on disk already, it is not even loaded. Prompts are lower-cased and stripped and otherwise
left as they are (diffusers' clean_caption=False; its pipelines default to True where they are called, and to False in
`encode_prompt`). An embedding is found by the SHA-256 of all that it depends on.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import IFPipeline
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BitsAndBytesConfig, T5EncoderModel, T5Tokenizer
from transformers.utils import logging

from .. import ModelError

CLEAN_CAPTION = False
FORMS = ("float16", "bfloat16", "int8", "float32")  # float16 keeps the layers `wo`, which overflow, in float32


class Embeddings(NamedTuple):
    """The embeddings that one text encoder, called `encoder`, made in one form, in a folder."""

    folder: Path
    encoder: str
    form: str

    def path(self, prompt: str) -> Path:
        key = json.dumps([prompt, self.encoder, self.form, {"clean_caption": CLEAN_CAPTION}])
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
        told = {"prompt": prompt, "encoder": self.encoder, "form": self.form, "clean_caption": str(CLEAN_CAPTION)}
        save_file({"embedding": embedding.cpu().contiguous()}, part, told)
        part.replace(path)


def encode(
    prompts: Sequence[str],
    kept: Embeddings,
    stage: Path,
    variant: str | None,
    device: torch.device,
    tell: Callable[[str], None] = lambda prompt: None,
) -> None:
    """Encode the prompts by the T5 in stage 1's folder, in the form of `kept`, and free it again."""
    logging.disable_progress_bar()
    encoder = T5EncoderModel.from_pretrained(
        stage / "text_encoder", variant=variant, use_safetensors=True, **_form(kept.form, device)
    ).eval()
    if kept.form != "int8":
        encoder.to(device)
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
    with torch.inference_mode():
        for prompt in prompts:
            tell(prompt)
            embedding, _ = pipeline.encode_prompt(
                prompt, do_classifier_free_guidance=False, device=device, clean_caption=CLEAN_CAPTION
            )
            kept.write(prompt, embedding)
    del pipeline, encoder
    gc.collect()  # the modules refer to each other
    torch.cuda.empty_cache()


def _form(form: str, device: torch.device) -> dict[str, object]:
    """How T5 is loaded in a form. int8 is bitsandbytes' and puts the weights on the device itself."""
    if form == "int8":
        return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True), "device_map": {"": device}}
    return {"dtype": getattr(torch, form)}
