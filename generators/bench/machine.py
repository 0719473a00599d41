"""Measures a machine: the rate of matrix products, the memory in use, its name."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from ..models.deepfloyd.machine import matmul_rate
from ..running import processor

PROC = Path("/proc/self")
PATIENCE = 0.2  # seconds for a product


def finished(device: torch.device) -> float:
    """Waits until the device has finished its work, then returns the time in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def highest_rate(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """Returns the FLOP/s of a product of two square matrices: an upper bound for the network.

    side: of the largest matrices tried. They double in size while a product takes less than PATIENCE, so a processor
    without instructions for `dtype` is measured at a small size instead of for minutes.
    """
    for size in (side >> k for k in reversed(range(side.bit_length()))):
        rate = matmul_rate(device, dtype, size)
        if 2 * size**3 / rate > PATIENCE:
            break
    return rate


def forget_peak(device: torch.device) -> None:
    """Resets the peak that `peak_memory` reports."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif (PROC / "clear_refs").exists():  # Linux
        (PROC / "clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int | None:
    """Returns the peak in bytes since `forget_peak`, of the GPU or of this process; None if the system does not report
    it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if not (PROC / "status").exists():
        return None
    (line,) = (line for line in (PROC / "status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def description(device: torch.device) -> str:
    """Returns the machine's name: the GPU, or the processor and its threads."""
    name = processor.name(device)
    return name if device.type == "cuda" else f"{name}, {torch.get_num_threads()} threads"
