"""Caches a network's outputs on disk while a section is drawn, so that an interrupted run continues from there.

Everything else in a section follows from these outputs and from seeds, and is fast: the section is drawn from its
start, and cached outputs are read instead of computed. The key is the SHA-256 of the exact input and of everything else
that the output depends on.

A thread hashes and writes, so that a GPU need not wait: its tensors are copied to pinned memory asynchronously.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, SupportsFloat

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..records import files

AHEAD = 4  # forwards whose outputs may wait to be written

Question = tuple[Any, ...]  # what an image's output depends on besides tensors: texts, numbers, None


class ForwardCache:
    """The cached outputs in a folder, which need not exist yet; those that it has at first are of an interrupted run.

    about: what they depend on besides their input. seconds: the original duration of the outputs read so far. The
    methods take the forward of a batch: a question for each image, and tensors whose first dimension is the batch.
    """

    def __init__(self, folder: Path, about: str) -> None:
        self.folder, self.about, self.seconds = folder, about, 0.0
        self._left = {path.name for path in folder.glob("*.safetensors")}  # not read yet
        self._writer = ThreadPoolExecutor(1)
        self._writes: deque[Future[None]] = deque()

    def find(
        self, questions: Sequence[Question], inputs: Sequence[Tensor]
    ) -> tuple[dict[str, Tensor], list[float]] | None:
        """Returns the outputs, and the original duration for each image in seconds; None if any is missing, since
        rounding depends on the batch."""
        if not self._left:  # hashing a GPU's tensors would wait for it
            return None
        found = []
        for name in self._names(questions, [tensor.cpu() for tensor in inputs]):
            if (output := self._read(name)) is None:
                return None
            self._left.discard(name)
            found.append(output)
        durations = [seconds for _, seconds in found]
        self.seconds += sum(durations)
        return {name: torch.stack([output[name] for output, _ in found]) for name in found[0][0]}, durations

    def keep(
        self,
        questions: Sequence[Question],
        inputs: Sequence[Tensor],
        outputs: Mapping[str, Tensor],
        seconds: SupportsFloat,
    ) -> None:
        """Stores the outputs, each atomically, in a thread; waits only if several forwards are not written yet.

        seconds: for each image, read once the device has finished. Raises what an earlier write has raised.
        """
        held = [_on_host(tensor) for tensor in inputs]
        held_outputs = {name: _on_host(tensor) for name, tensor in outputs.items()}
        copied = None
        if any(tensor.is_cuda for tensor in (*inputs, *outputs.values())):
            copied = torch.cuda.Event()
            copied.record()
        while len(self._writes) >= AHEAD or (self._writes and self._writes[0].done()):
            self._writes.popleft().result()
        self._writes.append(self._writer.submit(self._write, questions, held, held_outputs, seconds, copied))

    def close(self) -> None:
        """Waits until all outputs are on disk."""
        self._writer.shutdown()

    def forget(self) -> None:
        """Deletes the cache when the section is finished."""
        self._writer.shutdown(cancel_futures=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(
        self,
        questions: Sequence[Question],
        inputs: Sequence[Tensor],
        outputs: Mapping[str, Tensor],
        seconds: SupportsFloat,
        copied: torch.cuda.Event | None,
    ) -> None:
        if copied:
            copied.synchronize()
        duration = float(seconds)
        for k, name in enumerate(self._names(questions, inputs)):
            self._write_one(name, {field: tensor[k] for field, tensor in outputs.items()}, duration)

    def _write_one(self, name: str, output: Mapping[str, Tensor], seconds: float) -> None:
        files.write(self.folder / name, save(dict(output), {"seconds": str(seconds)}), synced=False)

    def _read(self, name: str) -> tuple[dict[str, Tensor], float] | None:
        """Returns one image's output and its duration; None if it is absent or damaged."""
        try:
            with safe_open(self.folder / name, framework="pt") as file:
                # Cloned: a lazily read tensor would not outlive its file.
                output = {field: file.get_tensor(field).clone() for field in file.keys()}  # noqa: SIM118
                return output, float((file.metadata() or {})["seconds"])
        except (FileNotFoundError, SafetensorError, KeyError, ValueError):
            return None

    def _names(self, questions: Sequence[Question], inputs: Sequence[Tensor]) -> list[str]:
        """Returns the files' names, by the input of each image."""
        names = []
        for k, question in enumerate(questions):
            key = hashlib.sha256(f"{self.about}\0{question!r}".encode())
            for tensor in inputs:
                key.update(f"\0{tensor.dtype} {tuple(tensor[k].shape)} ".encode())
                key.update(tensor[k].contiguous().numpy().tobytes())
            names.append(f"{key.hexdigest()}.safetensors")
        return names


def _on_host(tensor: Tensor) -> Tensor:
    """Returns a copy in the host's memory; of a GPU's tensor it is complete once the GPU has come so far."""
    host = torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda, memory_format=torch.contiguous_format)
    return host.copy_(tensor, non_blocking=tensor.is_cuda)
