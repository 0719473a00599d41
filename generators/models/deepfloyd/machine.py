"""What this machine has, and what fits into it: pure functions of numbers, in bytes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from .cascade import BY_LAYER, BY_STAGE, RESIDENT

GB = 1e9
# What a forward needs beside the weights; where stages 1 and 2 need more, their batch is halved. Estimates.
WORKSPACE = {"stage_1": 2 * GB, "stage_2": 2 * GB, "stage_3": 6 * GB}


class Machine(NamedTuple):
    """gpu: its name, "" for none. vram, ram: free, in bytes. bf16, int8: whether T5 can be loaded so on the GPU.

    rate: of a matrix product, in FLOP a second, in the precision in which the stages run.
    """

    gpu: str
    vram: float
    ram: float
    bf16: bool
    int8: bool
    rate: float


def present() -> Machine:
    """This machine, as it is now."""
    ram = psutil.virtual_memory().available
    if not torch.cuda.is_available():
        return Machine("", 0, ram, False, False, _rate(torch.device("cpu"), torch.float32, 1024))
    free, _ = torch.cuda.mem_get_info()
    rate = _rate(torch.device("cuda"), torch.float16, 8192)
    bf16, int8 = torch.cuda.is_bf16_supported(), find_spec("bitsandbytes") is not None
    return Machine(torch.cuda.get_device_name(), free, ram, bf16, int8, rate)


def disk(place: Path) -> int:
    """Free bytes on the disk where this folder is, or will be."""
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def text_form(machine: Machine, parameters: float, settled: str | None = None) -> tuple[str, str, float] | None:
    """The form of a T5 of so many parameters, the device and the bytes it takes; None where it fits nowhere.

    The first that fits: float16 with some layers in float32, bfloat16, 8 bits; then the processor, which is slower.
    settled: the only form to consider, where other prompts have been encoded in it.
    """
    for form, device, size, able in (
        ("float16", "cuda", 2.4, True),
        ("bfloat16", "cuda", 2.0, machine.bf16),
        ("int8", "cuda", 1.7, machine.int8),
        ("float32", "cpu", 4.0, True),
        ("bfloat16", "cpu", 2.0, True),
    ):
        free = machine.vram if device == "cuda" else machine.ram
        if able and settled in (None, form) and size * parameters * 1.05 <= free:
            return form, device, size * parameters
    return None


def placement(machine: Machine, sizes: Mapping[str, float]) -> str | None:
    """How the stages, of so many bytes in float16, share the machine; None where they do not fit.

    On the processor they are in float32, twice as large.
    """
    whole = sum(sizes.values())
    if not machine.gpu:
        return RESIDENT if 2 * whole * 1.05 <= machine.ram else None
    most = max(WORKSPACE[stage] for stage in sizes)
    if whole + most <= machine.vram:
        return RESIDENT
    if whole * 1.05 > machine.ram:  # what is not on the GPU waits in RAM
        return None
    if max(size + WORKSPACE[stage] for stage, size in sizes.items()) <= machine.vram:
        return BY_STAGE
    return BY_LAYER if most + 1 * GB <= machine.vram else None


def _rate(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """FLOP a second of a square matrix product, the best of three."""
    a = torch.ones(side, side, device=device, dtype=dtype)
    best = 0.0
    for _ in range(4):  # the first also warms up
        began = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for the device
        best = max(best, 2 * side**3 / (time.perf_counter() - began))
    return best
