"""This machine's resources, and what fits into them; placement is a pure function of numbers, in bytes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from .cascade import BY_LAYER, HELD, IN_TURN, Spot

GB = 1e9
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
PROCESS = {"cpu": 0.5 * GB, "cuda": 2 * GB}  # RAM of the program itself, without weights
T5_LAYER = 1.0 * GB  # a layer of T5-XXL in float32, with all prompts of a report
LAYER = 0.085  # the largest share of a UNet's weights in one layer: as read, in float32, and reordered for its kernel
# Activations of a forward in float32, per image, measured: (bytes of the UNet in float16, bytes of the activations).
IMAGE = {"stage_1": (8.6 * GB, 0.3 * GB), "stage_2": (2.26 * GB, 0.6 * GB)}
UPSCALING = 5 * GB  # for stage 3, whose autoencoder decodes 1024 x 1024 pixels; an estimate
CHUNK = {"stage_1": 32, "stage_2": 8, "stage_3": 1}  # most images in a forward


class Machine(NamedTuple):
    """gpu: its name, "" for none. vram, ram: free, in bytes.

    rate: FLOP/s of a matrix product in the stages' precision. reading: bytes/s of the disk with the weights; None if
    there are none yet.
    """

    gpu: str
    vram: float
    ram: float
    rate: float
    reading: float | None = None


def present(largest: Path | None = None) -> Machine:
    """Measures this machine now. largest: a file of weights, read briefly to time the disk."""
    ram, reading = _ram(), _reading(largest) if largest else None
    if not torch.cuda.is_available():
        return Machine("", 0, ram, _rate(CPU, torch.float32, 1024), reading)
    free, _ = torch.cuda.mem_get_info()
    return Machine(torch.cuda.get_device_name(), free, ram, _rate(CUDA, torch.float16, 8192), reading)


def disk(place: Path) -> int:
    """Returns the free bytes on the disk that holds, or will hold, this folder."""
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def text_device(machine: Machine, size: float) -> torch.device | str:
    """Returns the device on which T5 encodes layer by layer; or what is missing. size: of T5, bytes in float16."""
    room = min(T5_LAYER, 4 * size)  # a tiny T5 is held whole, in float32 and as read
    if room <= machine.vram:
        return CUDA
    if room + PROCESS["cpu"] <= machine.ram:
        return CPU
    return f"not enough RAM: the text encoder needs {_gb(room + PROCESS['cpu'])} GB, {_gb(machine.ram)} are free"


def placement(machine: Machine, sizes: Mapping[str, float]) -> dict[str, Spot] | str:
    """Returns where each stage runs and how its weights get there; or the one resource that is missing.

    sizes: bytes of each stage's weights in float16. On a CPU they are in float32, twice as large.
    """
    if machine.gpu and machine.ram < PROCESS["cuda"]:
        return f"not enough RAM: {_gb(PROCESS['cuda'])} GB are needed beside a GPU, {_gb(machine.ram)} are free"
    device = CUDA if machine.gpu else CPU
    room = machine.vram if machine.gpu else machine.ram - PROCESS["cpu"]
    double = 1 if machine.gpu else 2
    most = max(_workspace(stage, size, CHUNK[stage], device) for stage, size in sizes.items())
    if double * sum(sizes.values()) + most <= room:
        return {stage: Spot(device, HELD, CHUNK[stage]) for stage in sizes}
    spots = {}
    for stage, size in sizes.items():
        spot = _alone(stage, size, device, room)
        if spot is None and stage == "stage_3" and machine.gpu:  # few images, too large for most GPUs
            spot = _alone(stage, size, CPU, machine.ram - PROCESS["cuda"])
        if spot is None:
            least = LAYER * double * size + _workspace(stage, size, 1, device)
            what, free = ("GPU memory", machine.vram) if machine.gpu else ("RAM", machine.ram)
            least += 0 if machine.gpu else PROCESS["cpu"]
            return f"not enough {what}: {stage} needs {_gb(least)} GB even layer by layer, {_gb(free)} are free"
        spots[stage] = spot
    return spots


def to_read(calls: Iterable[tuple[int, int]], sizes: Mapping[str, float], spots: Mapping[str, Spot]) -> float:
    """Returns the bytes of weights that these calls, (stage, images), read from disk.

    sizes: bytes of each stage's files.
    """
    total = sum(size for stage, size in sizes.items() if spots[stage].offloading == HELD)
    here = ""
    for number, images in calls:
        stage = f"stage_{number}"
        offloading, chunk = spots[stage].offloading, spots[stage].chunk
        if offloading == BY_LAYER:
            forwards = 75 if number == 3 else -(-images // chunk)
            total += sizes[stage] * forwards
        elif offloading == IN_TURN and stage != here:
            total += sizes[stage]
        here = stage
    return total


def _alone(stage: str, size: float, device: torch.device, room: float) -> Spot | None:
    """Returns how a stage runs without another on its device: held if a fair batch fits beside it, else by layer."""
    double = 2 if device.type == "cpu" else 1
    fair = -(-CHUNK[stage] // 4)
    for offloading, weights, least in ((IN_TURN, double * size, fair), (BY_LAYER, LAYER * double * size, 1)):
        chunk = CHUNK[stage]
        while chunk >= least:
            if weights + _workspace(stage, size, chunk, device) <= room:
                return Spot(device, offloading, chunk)
            chunk //= 2
    return None


def _workspace(stage: str, size: float, chunk: int, device: torch.device) -> float:
    """Returns the activation memory of a forward of so many images, as measured in float32 (report/benchmarks.md).

    float16 is assumed to need half. Within an architecture, activations scale with the width, that is with the square
    root of the weights' size.
    """
    halves = 2 if device.type == "cuda" else 1
    if stage == "stage_3":
        return UPSCALING / halves
    reference, image = IMAGE[stage]
    return chunk * image * min(1, (size / reference) ** 0.5) / halves


def _gb(size: float) -> str:
    return f"{size / GB:.1f}"


def _ram() -> float:
    """Returns the free RAM, or the rest of this process's limit (`prlimit --data`) if that is smaller."""
    free = float(psutil.virtual_memory().available)
    try:
        import resource
    except ImportError:  # Windows
        return free
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return free if limit == resource.RLIM_INFINITY else min(free, limit - psutil.Process().memory_info().data)


def _reading(path: Path) -> float:
    """Returns the disk's bytes/s for a file, read cold if the system can drop it from its cache."""
    taken, piece = 0, bytearray(16 * 2**20)
    with path.open("rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.perf_counter()
        while (spent := time.perf_counter() - began) < 0.5 and (read := file.readinto(piece)):
            taken += read
    return taken / max(spent, 1e-6)


def _rate(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """Returns the FLOP/s of a square matrix product, the best of three."""
    a = torch.ones(side, side, device=device, dtype=dtype)
    best = 0.0
    for _ in range(4):  # the first also warms up
        began = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for the device
        best = max(best, 2 * side**3 / (time.perf_counter() - began))
    return best
