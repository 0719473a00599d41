"""What a machine can do, and what it is: its rate of matrix products, the memory taken, its name."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import torch

PROC = Path("/proc/self")


def finished(device: torch.device) -> float:
    """The time in seconds, once the device has done all it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """The FLOP/s of a product of two square matrices, the best of several: what the network could reach at most."""
    side, tries = (8192, 20) if device.type == "cuda" else (2048, 10)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(tries):
        began = finished(device)
        a @ b
        times.append(finished(device) - began)
    return 2 * side**3 / min(times)


def core_rate() -> float:
    """The FLOP/s of a product of two square matrices in float32, in seconds that a core works: others do not count."""
    a, times = torch.randn(2048, 2048), []
    for _ in range(10):
        began = time.process_time()
        a @ a
        times.append(time.process_time() - began)
    return 2 * 2048**3 / min(times)


def forget_peak(device: torch.device) -> None:
    """From now on `peak_memory` means what is taken from now on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif (PROC / "clear_refs").exists():  # Linux
        (PROC / "clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int | None:
    """The most bytes in use since `forget_peak`: of the GPU, or of this process; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if not (PROC / "status").exists():
        return None
    (line,) = (line for line in (PROC / "status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def anonymous_memory() -> int | None:
    """The bytes that this process has in RAM apart from mapped files; None where the system does not say."""
    if not (PROC / "status").exists():
        return None
    (line,) = (line for line in (PROC / "status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def description(device: torch.device) -> str:
    """The machine in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name}, {torch.get_num_threads()} threads"
