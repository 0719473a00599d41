"""The machine that draws: what of it the rounding depends on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

CPUINFO = Path("/proc/cpuinfo")


def name(device: torch.device) -> str:
    """Returns the name of the GPU or the processor; where the system does not tell it, that of its architecture."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines() if CPUINFO.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(filter(None, named), "") or platform.processor() or platform.machine()


def instructions(device: torch.device) -> str:
    """Returns the vector instructions for which torch chooses its kernels, such as "AVX-512"; "" for a GPU, or if it
    uses none."""
    import torch

    found = torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else "DEFAULT"
    return {"DEFAULT": "", "AVX512": "AVX-512"}.get(found, found)


def where(device: torch.device) -> dict[str, Any]:
    """Returns what a record says of the machine: its system, processor, instructions, device and threads."""
    import torch

    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": name(device),
        "instructions": instructions(device),
        "device": device.type,
        "threads": torch.get_num_threads(),
    }
