"""Encodes each prompt once with T5 and stores the embedding on disk, where the stages read it.

T5-XXL is larger than any UNet of the cascade, so all prompts are encoded before a UNet is loaded. T5 itself is never
whole in memory: all prompts pass its first layer, then the second, and so on, which takes one reading of the file and
the memory of one layer. Each prompt is computed alone, so its embedding does not depend on the others. T5 runs in
float32 on every machine, so embeddings agree between machines up to rounding.

Prompts are lower-cased and stripped but not cleaned (diffusers' clean_caption=False; its pipelines default to True in
`__call__` and to False in `encode_prompt`). An embedding is stored under the SHA-256 of everything it depends on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from diffusers import IFPipeline
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, T5Tokenizer

from ...diffusion.batching import ask, run
from ...records import files
from ...records.errors import ModelError
from .. import saved
from ..gpu import fitting
from . import disk
from .components import t5
from .course_embeddings import fault_of

Tokenizer = TypeVar("Tokenizer", bound=PreTrainedTokenizerBase)
Seen = TypeVar("Seen", bound=Hashable)

CLEAN_CAPTION = False
DTYPE = "float32"
TOKENS = 77  # of a prompt, at most: what follows is cut off by diffusers
COMPONENTS = ("tokenizer", "text_encoder", "unet", "scheduler", "safety_checker", "feature_extractor", "watermarker")
ABSENT = {**dict.fromkeys(COMPONENTS), "requires_safety_checker": False}  # a pipeline takes each of its components


class Embeddings(NamedTuple):
    """The embeddings of one text encoder, called `encoder`, in a folder."""

    folder: Path
    encoder: str

    def path(self, prompt: str) -> Path:
        key = json.dumps([prompt, self.encoder, DTYPE, {"clean_caption": CLEAN_CAPTION}])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"

    @property
    def called(self) -> str:
        """Returns the embeddings' name for the records."""
        return f"T5 in {DTYPE}, clean_caption={CLEAN_CAPTION}"

    def missing(self, prompts: Sequence[str]) -> list[str]:
        return [prompt for prompt in prompts if not self.path(prompt).is_file()]

    def read(self, prompt: str) -> Tensor:
        """Returns the embedding of a prompt, (1, 77, width). Raises ModelError if it has not been encoded or is
        damaged."""
        path = self.path(prompt)
        if not path.is_file():
            raise ModelError(f"the prompt “{prompt}” has no embedding; prepare the model with it before loading")
        try:
            embedding = load_file(path)["embedding"]
        except (SafetensorError, KeyError) as error:
            raise ModelError(f"{path} is damaged; remove it and run the same command again") from error
        if fault := fault_of(embedding):
            raise ModelError(f"{path}: the embedding {fault}; remove it and run the same command again")
        return embedding

    def write(self, prompt: str, embedding: Tensor) -> None:
        """Stores an embedding atomically. Raises ModelError if it cannot be one."""
        if fault := fault_of(embedding):
            raise ModelError(f"T5's embedding of “{prompt}” {fault}; its weights are wrong: fetch them again")
        metadata = {"prompt": prompt, "encoder": self.encoder, "dtype": DTYPE, "clean_caption": str(CLEAN_CAPTION)}
        files.write(self.path(prompt), save({"embedding": embedding.cpu().contiguous()}, metadata))


def tokenizer_of(stage: Path, kind: type[Tokenizer]) -> Tokenizer:
    """Loads the tokenizer of a stage. Raises ModelError if it is damaged."""
    folder = stage / "tokenizer"
    try:
        return kind.from_pretrained(folder)
    except Exception as error:  # of any type: its formats have parsers of their own, some in other languages
        read = [name for name in sorted(saved.TOKENIZER) if (folder / name).is_file()]
        why = " ".join(str(error).split())[:160] or type(error).__name__
        raise ModelError(
            f"{folder}: the tokenizer ({', '.join(read)}) is damaged ({why}); remove these files and fetch them again"
        ) from error


def _text(prompt: str) -> str:
    """Returns what of a prompt counts: without its case, and with single spaces."""
    return " ".join(prompt.lower().split())


def _alike(prompts: Sequence[str], seen_of: Callable[[str], Seen]) -> tuple[str, str, Seen] | None:
    """Returns the first two prompts of different texts of which a model sees the same, and what it sees; or None."""
    first: dict[Seen, str] = {}
    for prompt in prompts:
        seen = seen_of(prompt)
        other = first.setdefault(seen, prompt)
        if _text(other) != _text(prompt):
            return other, prompt, seen
    return None


def check_tokens(prompts: Sequence[str], tokenizer: Tokenizer, where: Path) -> None:
    """Raises ModelError if two prompts become the same tokens, so that the difference between them would be lost."""

    def tokens_of(prompt: str) -> tuple[int, ...]:
        return tuple(tokenizer(_text(prompt), max_length=TOKENS, truncation=True).input_ids)

    if alike := _alike(prompts, tokens_of):
        one, other, tokens = alike
        raise ModelError(
            f"{where}: “{one}” and “{other}” become the same {len(tokens)} tokens; fetch the tokenizer again "
            f"if it does not know their words, or reword one within its first {TOKENS} tokens"
        )


def same_embedding(prompts: Sequence[str], read: Callable[[str], Tensor]) -> tuple[str, str] | None:
    """Returns the first two prompts that have the same embedding; None if there are none. Raises what `read` raises."""

    def digest(prompt: str) -> bytes:
        embedding = read(prompt).contiguous()
        return hashlib.sha256(embedding.view(torch.uint8).numpy().tobytes()).digest()

    alike = _alike(prompts, digest)
    return alike and alike[:2]


def encode(
    prompts: Sequence[str],
    kept: Embeddings,
    stage: Path,
    device: torch.device,
    tell: Callable[[str, float], None] = lambda what, done: None,
) -> None:
    """Encodes the prompts with the T5 in stage 1's folder. tell: called with each layer, such as "layer 2 of 26", and
    the fraction of the work before it.

    Raises ModelError if the weights are not T5's, or if a GPU's memory runs out.
    """
    tensors = disk.Tensors(stage, "text_encoder", getattr(torch, DTYPE))
    tensors.tie(*disk.TIED)
    encoder = disk.build_empty(lambda: t5(stage), tensors)
    layers = {
        "encoder.embed_tokens.": encoder.encoder.embed_tokens,
        **{f"encoder.block.{k}.": block for k, block in enumerate(encoder.encoder.block)},
        "encoder.final_layer_norm.": encoder.encoder.final_layer_norm,
    }
    for k, (prefix, layer) in enumerate(layers.items()):
        told = partial(tell, f"layer {k + 1} of {len(layers)}", k / len(layers))
        _in_step(layer, partial(disk.loaded, layer, tensors, device, prefix), told)
    tokenizer = tokenizer_of(stage, T5Tokenizer)
    pipeline = IFPipeline(**{**ABSENT, "tokenizer": tokenizer, "text_encoder": encoder})
    work = partial(
        pipeline.encode_prompt, do_classifier_free_guidance=False, device=device, clean_caption=CLEAN_CAPTION
    )
    with torch.inference_mode(), fitting("a layer of T5"):
        for prompt, task in zip(prompts, run([partial(work, prompt) for prompt in prompts]), strict=True):
            embedding, _ = task.result
            kept.write(prompt, embedding)
    torch.cuda.empty_cache()


def _in_step(layer: nn.Module, present: Callable[[], AbstractContextManager[None]], tell: Callable[[], None]) -> None:
    """Makes all tasks that call this layer wait for each other; each is then computed alone, with weights read once."""
    forward = layer.forward

    def answer(calls: list[tuple[tuple[Any, ...], dict[str, Any]]]) -> list[Any]:
        tell()
        with present():
            return [forward(*arguments, **named) for arguments, named in calls]

    layer.forward = lambda *arguments, **named: ask((arguments, named), answer)
