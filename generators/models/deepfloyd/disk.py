"""Networks with weights on disk: built without memory for their weights, which are read when needed.

Files are read, not mapped: memory limits then count what is loaded, truncating a file during a run raises an error
instead of a fatal signal, and a cold disk reads as fast (report/decisions.md).
"""

from __future__ import annotations

import ctypes
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import ModelMixin
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ...records.errors import ModelError
from .. import networks, saved
from . import weights

TIED = ("shared.weight", "encoder.embed_tokens.weight")  # T5's vocabulary, which is saved under either name
M_MMAP_THRESHOLD = -3  # from malloc.h: larger blocks are mapped and returned to the system

Net = TypeVar("Net", bound=nn.Module)


class Tensors(Mapping[str, Tensor]):
    """The weights of one component of a stage, by name; each is read on access and cast to `dtype`.

    Raises ModelError if a file is damaged; access to a tensor raises it if the file has been truncated since.
    """

    def __init__(self, stage: Path, component: str, dtype: torch.dtype) -> None:
        self.folder, self.dtype = stage / component, dtype
        self._found: dict[str, tuple[Path, safe_open, str]] = {}
        for path in (stage / name for name in weights.tensor_files(stage, [component])):
            try:
                file = safe_open(path, framework="pt", backend="pread")
            except FileNotFoundError:
                raise ModelError(f"{path} {saved.absent(path)}; fetch it again") from None
            except SafetensorError as error:
                raise ModelError(f"{path} is damaged; remove it and fetch it again") from error
            self._found |= {name: (path, file, name) for name in file.keys()}  # noqa: SIM118

    @torch.inference_mode(False)  # with an inference tensor a layer may sum in another order
    def __getitem__(self, name: str) -> Tensor:
        path, file, saved = self._found[name]
        try:
            tensor = file.get_tensor(saved)
        except SafetensorError as error:
            why = "was truncated during the run; fetch it again, then run the same command"
            raise ModelError(f"{path} {why}") from error
        except MemoryError:  # torch's kind of error, which says what it lacks
            raise RuntimeError(f"not enough memory for {saved} of {path}") from None
        # float32 is always copied, to memory aligned as torch aligns it: MKL sums in another order elsewhere.
        return tensor.to(self.dtype, copy=self.dtype == torch.float32)

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor without reading it."""
        _, file, saved = self._found[name]
        return tuple(file.get_slice(saved).get_shape())

    def rename(self, names: Mapping[str, str]) -> None:
        """Gives tensors other names. names: by new name, the one until now."""
        self._found = {new: self._found[old] for new, old in names.items()}

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
    """Builds the network without memory for its weights. Raises ModelError if the configuration describes none, or if
    one of its weights is not in `tensors` or has another shape there."""
    return_freed_memory()
    net = networks.empty(make, tensors.folder / "config.json")
    nn.Module.to(net, tensors.dtype).eval()  # not diffusers' `to`, which warns
    if isinstance(net, ModelMixin):
        names = OrderedDict((name, name) for name in tensors)
        net._fix_state_dict_keys_on_load(names)  # attention of older autoencoders; diffusers does it in whole files
        tensors.rename(names)
    networks.check_fit(net.state_dict(), {name: tensors.shape(name) for name in tensors}, tensors.folder)
    return net


@torch.inference_mode(False)
def load_weights(net: nn.Module, tensors: Mapping[str, Tensor], device: torch.device, prefix: str = "") -> None:
    """Reads a network's weights to the device one tensor at a time, without a second copy of the whole. Each has the
    memory format of the parameter that it replaces."""
    for name, empty in net.named_parameters():
        weight = tensors[prefix + name].to(device)
        if weight.stride() != empty.stride():
            weight = torch.empty_like(empty, device=device).copy_(weight)
        layer, _, own_name = name.rpartition(".")
        setattr(net.get_submodule(layer), own_name, nn.Parameter(weight, empty.requires_grad))


def free_weights(net: nn.Module) -> None:
    """Frees a network's weights; their shapes and memory formats stay."""
    nn.Module.to(net, "meta")  # not diffusers' `to`, which warns


@contextmanager
def loaded(net: nn.Module, tensors: Mapping[str, Tensor], device: torch.device, prefix: str = "") -> Iterator[None]:
    """Holds the weights of a network, or of one layer, for the duration of the block."""
    try:
        load_weights(net, tensors, device, prefix)
        yield
    finally:
        free_weights(net)


def load_by_layer(net: nn.Module, tensors: Mapping[str, Tensor], device: torch.device, prefix: str = "") -> None:
    """Makes each layer, a module with weights of its own, read its weights when called and free them afterwards."""
    if not net._parameters:
        for name, part in net.named_children():
            load_by_layer(part, tensors, device, f"{prefix}{name}.")
        return
    forward = net.forward

    def load_and_forward(*arguments: Any, **named: Any) -> Any:
        with loaded(net, tensors, device, prefix):
            return forward(*arguments, **named)

    net.forward = load_and_forward  # type: ignore[method-assign]
