"""A stand-in for a CUDA device: tensors that say they are on cuda:0 and compute on the CPU.

It refuses what a GPU refuses, operations between its tensors and the CPU's, and counts what makes the host wait. It
says nothing about speed, memory, or the rounding of a GPU's kernels.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
COPIES = {aten.copy_.default, aten._to_copy.default}
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default}  # the host reads the result
NAME = "a stand-in for a GPU"


class OnGpu(Tensor):
    """A tensor on the stand-in. held: its values, of the same shape and strides, on the CPU."""

    held: Tensor

    def __new__(cls, held: Tensor, requires_grad: bool = False) -> OnGpu:
        held = getattr(held, "held", held)
        with torch.inference_mode(False):  # which a view of a tensor that was made outside the mode needs
            new = Tensor._make_wrapper_subclass(cls, held.shape, strides=held.stride(), dtype=held.dtype, device=CUDA)
        new.held = held
        return new

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _Dispatch.current.run(func, args, kwargs or {})


class _Dispatch(TorchDispatchMode):
    """Runs each operation on the CPU, and says where the result is. counts: what happened, by name."""

    current: _Dispatch

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self.run(func, args, kwargs or {})

    def run(self, func, args, kwargs):
        composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
        if composite and func is not aten.scaled_dot_product_attention.default:
            with self:  # in inference mode such operations arrive whole
                return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        on_gpu = any(isinstance(each, OnGpu) for each in tensors)
        if on_gpu:
            self._check(func, args, tensors)
        device = kwargs.get("device")
        self._count_waits(func, args, kwargs, tensors)
        if device is not None:
            on_gpu = device.type == "cuda"
            kwargs = {**kwargs, "device": CPU if on_gpu else device}
        out = func(*tree_map(_values, args), **tree_map(_values, kwargs))
        if func._schema.name.endswith("_"):
            return args[0]
        return tree_map(lambda each: OnGpu(each) if isinstance(each, Tensor) else each, out) if on_gpu else out

    def _check(self, func, args, tensors):
        """Raises RuntimeError where a GPU would. A number on the CPU, and CPU indices into a GPU's tensor, are fine."""
        if func in COPIES or (func in INDEXING and isinstance(args[0], OnGpu)):
            return
        if any(each.dim() and not isinstance(each, OnGpu) for each in tensors) or func in INDEXING:
            raise RuntimeError(f"Expected all tensors to be on the same device: {func}")

    def _count_waits(self, func, args, kwargs, tensors):
        source = None
        if func is aten._to_copy.default and (device := kwargs.get("device")) is not None:
            source, to_gpu, asynchronous = args[0], device.type == "cuda", kwargs.get("non_blocking")
        elif func is aten.copy_.default:
            source, to_gpu, asynchronous = args[1], isinstance(args[0], OnGpu), len(args) > 2 and args[2]
        if source is not None and isinstance(source, OnGpu) != to_gpu:
            host = source if to_gpu else args[0]
            if not (asynchronous and getattr(host, "pinned", False)):
                self.counts["copy to the GPU" if to_gpu else "copy to the CPU"] += 1
        elif any(isinstance(each, OnGpu) for each in tensors):
            masked = func in INDEXING and any(each is not None and each.dtype == torch.bool for each in args[1])
            if func in READS or masked:
                self.counts["read by the host"] += 1
            if func in INDEXING and any(each is not None and not isinstance(each, OnGpu) for each in args[1]):
                self.counts["copy to the GPU"] += 1


def _values(each):
    return each.held if isinstance(each, OnGpu) else each


class _Function(TorchFunctionMode):
    """Notes which tensors are in pinned memory, and names the device in full."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = {key: _placed(each) for key, each in (kwargs or {}).items()}
        pinned = kwargs.pop("pin_memory", False)
        device = kwargs.pop("device", None) if func is torch.tensor else None
        made = func(*map(_placed, args), **kwargs)
        if pinned:
            made.pinned = True
        return made.to(device) if device else made


def _placed(each):
    return CUDA if isinstance(each, (str, torch.device)) and str(each) == "cuda" else each


def install_guard() -> None:
    """Gives this process a device guard for CUDA that does nothing, all that a torch without CUDA lacks. Skips the test
    where the table of guards is not exported under its name on Linux and macOS."""
    c10 = next((Path(torch.__file__).parent / "lib").glob("libc10.[sd]*"), None)
    if c10 is None:
        pytest.skip("torch's libc10 is not where it is on Linux and macOS, so CUDA has no stand-in")
    guards = (ctypes.c_void_p * 2).in_dll(ctypes.CDLL(str(c10)), "_ZN3c104impl26device_guard_impl_registryE")
    guards[1] = guards[1] or guards[0]  # by DeviceType: CUDA is 1; the CPU's, 0, does nothing either
    torch._C._ensureCUDADeviceGuardSet()  # for a torch with CUDA on a machine without


@contextmanager
def gpu(**replaced: Callable[..., Any]) -> Iterator[Counter[str]]:
    """Makes "cuda" a device for the block. Yields the counts so far of what makes the host wait, and of "empty_cache".

    replaced: functions of torch.cuda to use instead. Tensors that are sent there need no gradient: use `torch.no_grad`
    or `torch.inference_mode`.
    """
    counts: Counter[str] = Counter()

    class Event:
        def __init__(self, **_: bool) -> None: ...

        def record(self) -> None: ...

        def synchronize(self) -> None:
            counts["synchronize an event"] += 1

        def elapsed_time(self, other: Event) -> float:
            return 1.0

    stubs = {
        "_lazy_init": lambda: None,
        "synchronize": lambda *_: counts.update(["synchronize"]),
        "empty_cache": lambda: counts.update(["empty_cache"]),
        "is_available": lambda: True,
        "get_device_name": lambda *_: NAME,
        "Event": Event,
    }
    install_guard()
    with ExitStack() as stack:
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, False)
        for name, stub in {**stubs, **replaced}.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, stub))
        _Dispatch.current = stack.enter_context(_Dispatch(counts))
        stack.enter_context(_Function())
        yield counts


class _Allocated(TorchDispatchMode):
    """Follows the bytes of all storages that are alive. peak: their largest sum, without those made before."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: weakref.WeakSet = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for each in tree_leaves((args, kwargs)):
            if isinstance(each, Tensor):
                self.known.add(each.untyped_storage())
        out = func(*args, **(kwargs or {}))
        for each in tree_leaves(out):
            if isinstance(each, Tensor) and (storage := each.untyped_storage()) not in self.known:
                self.known.add(storage)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._freed, storage.nbytes())
        return out

    def _freed(self, size: int) -> None:
        self.now -= size


class _Fused(TorchFunctionMode):
    """Attention as a GPU's fused kernels compute it, without a matrix of all pairs."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, _, value = args[:3]
            return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **(kwargs or {}))


def peak(build: Callable[[], Any], call: Callable[..., Any]) -> int:
    """Returns the bytes that a call takes on a GPU at most, without allocating them: call(build()) on fake tensors.

    What is built, and its inputs, do not count.
    """
    install_guard()
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), _Fused():
        built = build()
        with _Allocated() as allocated:
            call(built)
    return allocated.peak
