"""What networks answered in a section that is not finished yet, kept on disk: a run that is killed goes on from there.

All else in a section follows from these answers and from seeds, and is fast. So the section is drawn from its start,
and what was answered before is read instead of computed. An answer is found by the SHA-256 of its question, to the bit,
and of all that it depends on besides; where anything has changed, nothing is found, and the network is asked.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


class ForwardCache:
    """The answers in a folder, which need not be there yet.

    about: what they depend on besides their questions. seconds: what those that were found and used had taken.
    """

    def __init__(self, folder: Path, about: str) -> None:
        self.folder, self.about, self.seconds = folder, about, 0.0

    def find(self, *question: Any) -> tuple[dict[str, Tensor], float] | None:
        """The answer that was kept to this question (texts, numbers, tensors, None), and the seconds it took."""
        try:
            with safe_open(self._path(question), framework="pt") as file:
                # Copied: what is read lazily from a file would be gone with it.
                answer = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
                seconds = float((file.metadata() or {})["seconds"])
        except (FileNotFoundError, SafetensorError, KeyError, ValueError):  # never kept, or damaged
            return None
        return answer, seconds

    def keep(self, answer: Mapping[str, Tensor], seconds: float, *question: Any) -> None:
        """Keep an answer: written beside and renamed, so that what is there is whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(question)
        part = path.with_suffix(f".{os.getpid()}.part")
        save_file({name: tensor.cpu().contiguous() for name, tensor in answer.items()}, part, {"seconds": str(seconds)})
        part.replace(path)

    def forget(self) -> None:
        """The section is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, question: tuple[Any, ...]) -> Path:
        key = hashlib.sha256(self.about.encode())
        for part in question:
            if isinstance(part, Tensor):
                key.update(f"\0{part.dtype} {tuple(part.shape)} ".encode())
                key.update(part.cpu().contiguous().numpy().tobytes())
            else:
                key.update(f"\0{part!r}".encode())
        return self.folder / f"{key.hexdigest()}.safetensors"
