"""Precomputed embeddings, as the course distributes them: `DEEPFLOYD_EMBEDDINGS=prompt_embeds_dict.pth` replaces T5.

A file holds a dict from prompts to tensors (1, 77, 4096): a torch `.pth`, or safetensors named by prompt. From a `.pth`
only tensors and plain containers are read; anything else, such as code, is refused.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...records.errors import ModelError
from ..provider import path_of

if TYPE_CHECKING:
    from torch import Tensor

VARIABLE = "DEEPFLOYD_EMBEDDINGS"


def embeddings_file() -> Path | None:
    """Returns the file that replaces T5, if one is set; `~` is the home folder."""
    return path_of(os.environ.get(VARIABLE))


def fault_of(embedding: Tensor) -> str | None:
    """Returns why a tensor cannot be an embedding, in a few words; None if it can."""
    if not embedding.is_floating_point():
        return f"holds {str(embedding.dtype).removeprefix('torch.')}, not floating-point numbers"
    if not embedding.float().isfinite().all():
        return "holds NaN or infinity"
    return None


class CourseEmbeddings:
    """The embeddings in a file. width: of an embedding as stage 1 takes it; None if unknown.

    Raises ModelError if the file is unreadable, contains anything but embeddings, or has embeddings of another width.
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
            raise ModelError(f"{path} contains more than tensors and could execute code; it was not loaded") from error
        except (OSError, RuntimeError, EOFError, ValueError, SafetensorError) as error:
            raise ModelError(f"{path} is damaged or not a file of embeddings; fetch it again") from error
        if not (
            isinstance(found, dict)
            and found
            and all(isinstance(prompt, str) and isinstance(tensor, torch.Tensor) for prompt, tensor in found.items())
        ):
            raise ModelError(f"{path} is not a dict from prompts to embeddings")
        for prompt, tensor in found.items():
            if tensor.dim() != 3 or len(tensor) != 1 or (width and tensor.shape[-1] != width):
                shape = f"(1, tokens, {width or 'channels'})"
                raise ModelError(f"{path}: the embedding of “{prompt}” is {tuple(tensor.shape)}; stage 1 takes {shape}")
            if fault := fault_of(tensor):
                raise ModelError(f"{path}: the embedding of “{prompt}” {fault}; fetch the file again")
        self._found = found

    @property
    def called(self) -> str:
        """Returns the embeddings' name for the records."""
        with self.path.open("rb") as file:
            return f"embeddings from {self.path.name}, sha256 {hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"

    def missing(self, prompts: Sequence[str]) -> list[str]:
        return [prompt for prompt in prompts if prompt not in self._found]

    def read(self, prompt: str):
        """Returns the embedding of a prompt, (1, 77, width). Raises ModelError if the file has none."""
        if prompt not in self._found:
            raise ModelError(f"{self.path} has no embedding of “{prompt}”; add it, or unset {VARIABLE}")
        return self._found[prompt]
