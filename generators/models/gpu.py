"""What differs on a CUDA device: calls are asynchronous, and its memory may run out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..records.errors import ModelError

OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED")  # of CUDA itself; of cuBLAS and cuDNN


class Stopwatch:
    """Duration of a call per image: `float(stopwatch)`, in seconds.

    A GPU runs calls asynchronously, so there the times are CUDA events, and only `float` waits for them.
    """

    def __init__(self, device: torch.device, images: int) -> None:
        self.gpu, self.images = device.type == "cuda", images
        self.began = self._now()

    def stop(self) -> None:
        self.ended = self._now()

    def _now(self) -> Any:
        if not self.gpu:
            return time.perf_counter()
        mark = torch.cuda.Event(enable_timing=True)
        mark.record()
        return mark

    def __float__(self) -> float:
        if not self.gpu:
            return (self.ended - self.began) / self.images
        self.ended.synchronize()
        return self.began.elapsed_time(self.ended) / 1000 / self.images


def out_of_memory(error: RuntimeError) -> bool:
    """Returns whether an error says that a GPU's memory ran out. PyTorch's allocator, CUDA (torch.AcceleratorError) and
    its libraries (RuntimeError) have errors of their own."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in OUT_OF_MEMORY)


@contextmanager
def fitting(what: str) -> Iterator[None]:
    """Raises ModelError if a GPU's memory runs out in the block. what: is in it, such as "an image of 1024 pixels"."""
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        remedy = "close other programs that use it, then run the same command again"
        raise ModelError(f"not enough GPU memory for {what}; {remedy}") from None
