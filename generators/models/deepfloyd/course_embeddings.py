"""Embeddings made elsewhere, as the course hands them out: `DEEPFLOYD_EMBEDDINGS=prompt_embeds_dict.pth` replaces T5.

A file holds a dict of prompts to tensors (1, 77, 4096): a `.pth` of torch, or safetensors with the prompts as names. Of
a `.pth` only tensors and plain containers are read; one that holds anything else, such as a program, is refused.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Sequence
from pathlib import Path

from .. import ModelError

VARIABLE = "DEEPFLOYD_EMBEDDINGS"


def chosen() -> Path | None:
    """The file that takes T5's place, if one was named."""
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


class HandedOut:
    """The embeddings in a file. width: of an embedding, as stage 1 takes it; None where that is not known yet.

    Raises ModelError where the file cannot be read, holds anything but embeddings, or those of another width.
    """

    def __init__(self, path: Path, width: int | None) -> None:
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        self.path = path
        try:
            if path.suffix == ".safetensors":
                found = load_file(path)
            else:
                found = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise ModelError(f"{VARIABLE}: there is no file {path}") from None
        except pickle.UnpicklingError as error:
            raise ModelError(f"{path} holds more than tensors, and may run a program; it was not loaded") from error
        except (OSError, RuntimeError, EOFError, ValueError, SafetensorError) as error:
            raise ModelError(f"{path} is damaged, or no file of embeddings; fetch it again") from error
        if not (
            isinstance(found, dict) and found and all(isinstance(tensor, torch.Tensor) for tensor in found.values())
        ):
            raise ModelError(f"{path} is no dict of prompts to embeddings")
        for prompt, tensor in found.items():
            if tensor.dim() != 3 or len(tensor) != 1 or (width and tensor.shape[-1] != width):
                shape = f"(1, tokens, {width or 'channels'})"
                raise ModelError(f"{path}: the embedding of “{prompt}” is {tuple(tensor.shape)}; stage 1 takes {shape}")
        self._found = found

    @property
    def called(self) -> str:
        """What records call the embeddings."""
        with self.path.open("rb") as file:
            return f"embeddings from {self.path.name}, sha256 {hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"

    def missing(self, prompts: Sequence[str]) -> list[str]:
        return [prompt for prompt in prompts if prompt not in self._found]

    def read(self, prompt: str):
        """The embedding of a prompt, (1, 77, width). Raises ModelError where the file has none."""
        if prompt not in self._found:
            raise ModelError(f"{self.path} has no embedding of “{prompt}”; add it, or unset {VARIABLE}")
        return self._found[prompt]
