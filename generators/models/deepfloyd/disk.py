"""Networks whose weights wait on disk: built without memory, and filled from their files when their turn comes.

Files are read, not mapped: what is read counts where a limit of memory is set, a file that is cut while a run goes on
raises an error instead of a signal that ends the process, and a cold disk reads as fast (report/decisions.md).
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

from .. import ModelError
from . import weights

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
M_MMAP_THRESHOLD = -3  # of malloc.h: blocks of this many bytes and more are the system's own

Net = TypeVar("Net", bound=nn.Module)


class Tensors(Mapping[str, Tensor]):
    """The weights of one part of a stage, by name; each is read when it is asked for, and cast to `dtype`.

    folder: of the part, such as stage_1/unet, with *.safetensors in one file or several. Raises ModelError where a file
    has no header; to ask for a tensor raises it where the file is no longer as long as it was.
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
                raise ModelError(f"{path} has no readable header; remove it, and fetch it again") from error
        self.folder = folder

    @torch.inference_mode(False)  # by a tensor made in inference mode, a layer may add up in another order
    def __getitem__(self, name: str) -> Tensor:
        path, begin, dtype, shape = self._found[name]
        tensor = torch.empty(shape, dtype=dtype)
        with path.open("rb") as file:
            file.seek(begin)
            if file.readinto(tensor.flatten().view(torch.uint8).numpy().data) != tensor.nbytes:
                raise ModelError(f"{path} was cut while the run went on; fetch it again, then run the same command")
        return tensor.to(self.dtype)

    def tie(self, *names: str) -> None:
        """These names mean one tensor, under whichever of them it was saved."""
        if saved := next((name for name in names if name in self._found), None):
            self._found |= dict.fromkeys(names, self._found[saved])

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


@cache
def frugal() -> None:
    """From now on, have what is freed given back to the system at once, where the C library is glibc.

    It would put tensors of up to 32 MB into one heap, which layers of ever other sizes tear: I-L, layer by layer, held
    2.1 GB between two forwards, and 0.4 with this.
    """
    with suppress(OSError, AttributeError, TypeError):  # another system
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**20)


def empty(make: Callable[[], Net], tensors: Tensors) -> Net:
    """The network that `make` builds, without memory for its weights. Raises ModelError where one has no tensor."""
    frugal()
    with torch.device("meta"):
        net = make()
    nn.Module.to(net, tensors.dtype).eval()  # not diffusers' own `to`, which warns
    if lacks := sorted(net.state_dict().keys() - tensors.keys()):
        raise ModelError(f"{tensors.folder}: the weights have no {lacks[0]}; fetch them again")
    return net


@torch.inference_mode(False)
def bring(net: nn.Module, tensors: Mapping[str, Tensor], device: torch.device, prefix: str = "") -> None:
    """Read all of a network's weights to the device, one tensor at a time; no copy of the whole is made on the way."""
    for name, _ in net.named_parameters():
        set_module_tensor_to_device(net, name, device, value=tensors[prefix + name])


def send_away(net: nn.Module) -> None:
    """Give the memory of a network's weights back."""
    net.to("meta")


@contextmanager
def present(net: nn.Module, tensors: Mapping[str, Tensor], device: torch.device, prefix: str = "") -> Iterator[None]:
    """A network, or a layer of one, whose weights are there for as long as this lasts."""
    bring(net, tensors, device, prefix)
    try:
        yield
    finally:
        send_away(net)


def by_layer(net: nn.Module, tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """From now on, each layer's weights are read when it is called, and given back when it has answered."""
    attach_align_device_hook(net, device, offload=True, weights_map=tensors)
