"""Caches a network's outputs on disk while a section is drawn, so that an interrupted run continues from there.

Everything else in a section follows from these outputs and from seeds, and is fast: the section is drawn from its
start, and cached outputs are read instead of computed. The key is the SHA-256 of the exact input and of everything else
that the output depends on.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..records import files


class ForwardCache:
    """The cached outputs in a folder, which need not exist yet.

    about: what they depend on besides their input. seconds: the original duration of the outputs read so far.
    """

    def __init__(self, folder: Path, about: str) -> None:
        self.folder, self.about, self.seconds = folder, about, 0.0

    def find(self, *inputs: Any) -> tuple[dict[str, Tensor], float] | None:
        """Returns the output for this input (texts, numbers, tensors, None) and its original duration in seconds; None
        if absent."""
        try:
            with safe_open(self._path(inputs), framework="pt") as file:
                # Cloned: a lazily read tensor would not outlive its file.
                output = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
                seconds = float((file.metadata() or {})["seconds"])
        except (FileNotFoundError, SafetensorError, KeyError, ValueError):  # absent or damaged
            return None
        return output, seconds

    def keep(self, output: Mapping[str, Tensor], seconds: float, *inputs: Any) -> None:
        """Stores an output atomically."""
        tensors = {name: tensor.cpu().contiguous() for name, tensor in output.items()}
        files.write(self._path(inputs), save(tensors, {"seconds": str(seconds)}), synced=False)

    def forget(self) -> None:
        """Deletes the cache when the section is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, inputs: tuple[Any, ...]) -> Path:
        key = hashlib.sha256(self.about.encode())
        for part in inputs:
            if isinstance(part, Tensor):
                key.update(f"\0{part.dtype} {tuple(part.shape)} ".encode())
                key.update(part.cpu().contiguous().numpy().tobytes())
            else:
                key.update(f"\0{part!r}".encode())
        return self.folder / f"{key.hexdigest()}.safetensors"
