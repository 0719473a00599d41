"""Networks with weights on disk: built without memory for their weights, which are read when needed.

Files are read, not mapped: memory limits then count what is loaded, truncating a file during a run raises an error
instead of a fatal signal, and a cold disk reads as fast (report/decisions.md).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from accelerate.hooks import attach_align_device_hook
from accelerate.utils import set_module_tensor_to_device
from torch import Tensor, nn

from ...records.errors import ModelError
from . import weights

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
M_MMAP_THRESHOLD = -3  # from malloc.h: larger blocks are mapped and returned to the system

Net = TypeVar("Net", bound=nn.Module)


class Tensors(Mapping[str, Tensor]):
    """The weights of one part of a stage, by name; each is read on access and cast to `dtype`.

    folder: of the part, such as stage_1/unet, with one or more *.safetensors. Raises ModelError if a file has no valid
    header; access to a tensor raises it if the file has been truncated since.
    """

    def __init__(self, folder: Path, variant: str | None, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._found: dict[str, tuple[Path, int, torch.dtype, list[int]]] = {}
        for path in weights.shards(folder, variant):
            try:
                length, tensors = weights.header(path)
                for name, tensor in tensors.items():
                    begin = 8 + length + tensor["data_offsets"][0]
                    self._found[name] = path, begin, DTYPES[tensor["dtype"]], tensor["shape"]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ModelError(f"{path} has no valid header; remove it and fetch it again") from error
        self.folder = folder

    @torch.inference_mode(False)  # with an inference tensor a layer may sum in another order
    def __getitem__(self, name: str) -> Tensor:
        path, begin, dtype, shape = self._found[name]
        tensor = torch.empty(shape, dtype=dtype)
        with path.open("rb") as file:
            file.seek(begin)
            if file.readinto(tensor.flatten().view(torch.uint8).numpy().data) != tensor.nbytes:
                raise ModelError(f"{path} was truncated during the run; fetch it again, then run the same command")
        return tensor.to(self.dtype)

    def tie(self, *names: str) -> None:
        """Makes these names aliases of one tensor, whichever of them it was saved under."""
        if saved := next((name for name in names if name in self._found), None):
            self._found |= dict.fromkeys(names, self._found[saved])

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


@cache
def return_freed_memory() -> None:
    """Makes glibc return freed memory to the system at once; does nothing on another C library.

    By default glibc keeps tensors below 32 MB in a heap, which layers of varying sizes fragment: I-L, layer by layer,
    held 2.1 GB between two forwards, and 0.4 GB with this setting.
    """
    with suppress(OSError, AttributeError, TypeError):  # another system
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**20)


def build_empty(make: Callable[[], Net], tensors: Tensors) -> Net:
    """Builds the network without memory for its weights. Raises ModelError if one of its weights is not in
    `tensors`."""
    return_freed_memory()
    with torch.device("meta"):
        net = make()
    nn.Module.to(net, tensors.dtype).eval()  # not diffusers' `to`, which warns
    if lacks := sorted(net.state_dict().keys() - tensors.keys()):
        raise ModelError(f"{tensors.folder}: the weights lack {lacks[0]}; fetch them again")
    return net


@torch.inference_mode(False)
def load_weights(net: nn.Module, tensors: Mapping[str, Tensor], device: torch.device, prefix: str = "") -> None:
    """Reads a network's weights to the device one tensor at a time, without a second copy of the whole."""
    for name, _ in net.named_parameters():
        set_module_tensor_to_device(net, name, device, value=tensors[prefix + name])


def free_weights(net: nn.Module) -> None:
    """Frees the memory of a network's weights."""
    net.to("meta")


@contextmanager
def loaded(net: nn.Module, tensors: Mapping[str, Tensor], device: torch.device, prefix: str = "") -> Iterator[None]:
    """Holds the weights of a network, or of one layer, for the duration of the block."""
    load_weights(net, tensors, device, prefix)
    try:
        yield
    finally:
        free_weights(net)


def load_by_layer(net: nn.Module, tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """Makes each layer read its weights when called and free them afterwards."""
    attach_align_device_hook(net, device, offload=True, weights_map=tensors)
