"""A stand-in for a device that is neither the CPU nor CUDA, such as Apple's.

Its tensors say that they are on "meta", compute on the CPU, and refuse to meet the CPU's, as a device's do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
CPU, THERE = torch.device("cpu"), torch.device("meta")
COPIES = {aten.copy_.default, aten._to_copy.default}
INDEXING = {aten.index.Tensor, aten.index_put_.default}  # of a tensor there, by indices on the CPU


class There(Tensor):
    """held: its values, on the CPU."""

    held: Tensor

    def __new__(cls, held: Tensor, requires_grad: bool = False) -> There:
        held = getattr(held, "held", held)
        new = Tensor._make_wrapper_subclass(cls, held.shape, strides=held.stride(), dtype=held.dtype, device=THERE)
        new.held = held
        return new

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


def _run(func, args, kwargs):
    composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    if composite and func is not aten.scaled_dot_product_attention.default:
        with _Dispatch():  # in inference mode such operations arrive whole
            return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    there = any(isinstance(each, There) for each in tensors)
    strict = there and func not in COPIES and not (func in INDEXING and isinstance(args[0], There))
    if strict and any((each.dim() or func in INDEXING) and not isinstance(each, There) for each in tensors):
        raise RuntimeError(f"Expected all tensors to be on the same device: {func}")
    assert not kwargs.get("pin_memory"), "only CUDA copies from pinned memory"
    if (place := kwargs.get("device")) is not None:
        there = place.type == THERE.type
        assert not kwargs.get("non_blocking"), "the copy may outlast its source"
        kwargs = {**kwargs, "device": CPU}
    out = func(*tree_map(_values, args), **tree_map(_values, kwargs))
    if func._schema.name.endswith("_"):
        return args[0]
    return tree_map(lambda each: There(each) if isinstance(each, Tensor) else each, out) if there else out


def _values(each):
    return each.held if isinstance(each, There) else each


@contextmanager
def another_device() -> Iterator[torch.device]:
    """Makes a device for the block, without gradients."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Dispatch():
            yield THERE
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
