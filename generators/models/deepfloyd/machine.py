"""This machine's resources, what fits into them, and what a forward costs; placement is a pure function of numbers, in
bytes."""

from __future__ import annotations

import os
import shutil
import time
import timeit
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from ..provider import SHARING
from .cascade import BY_LAYER, HELD, IN_TURN, Spot, ThirdStage

GB = 1e9
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
PROCESS = {"cpu": 0.5 * GB, "cuda": 2 * GB}  # RAM of the program itself, without weights
T5_LAYER = 1.0 * GB  # a layer of T5-XXL in float32, with all prompts of a report
LAYER = 0.085  # the largest share of a UNet's weights in one layer: as read, in float32, and reordered for its kernel
REFERENCE = {"stage_1": 8.6 * GB, "stage_2": 2.26 * GB, "stage_3": 1.7 * GB}  # the largest networks, in float16
# Bytes of a forward's activations per image: measured in float32 on a CPU, but for stage 3, an estimate; counted on a
# GPU, in float16 (report/benchmarks.md). Stage 3's autoencoder decodes 1024 x 1024 pixels in float32 everywhere.
ACTIVATIONS = {
    "cpu": {"stage_1": 0.3 * GB, "stage_2": 0.6 * GB, "stage_3": 5 * GB, "stage_3 in tiles": 2.2 * GB},
    "cuda": {"stage_1": 0.1 * GB, "stage_2": 0.3 * GB, "stage_3": 3.4 * GB, "stage_3 in tiles": 1.15 * GB},
}
WORKSPACE = {"cpu": 0.0, "cuda": 0.5 * GB}  # of kernels, and lost between the allocator's blocks
CHUNK = {"stage_1": 32, "stage_2": 8, "stage_3": 1}  # most images in a forward
TOKENS = 77  # of a text


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
    """Measures this machine now, and counts of its memory this process's share. largest: a file of weights, read
    briefly to time the disk."""
    ram, reading = _ram(), _reading(largest) if largest else None
    if not torch.cuda.is_available():
        return Machine("", 0, ram, matmul_rate(CPU, torch.float32, 1024), reading)
    free, total = torch.cuda.mem_get_info()
    vram, rate = min(free, total / SHARING.gpu), matmul_rate(CUDA, torch.float16, 8192)
    torch.cuda.empty_cache()  # of the product, for other processes
    return Machine(torch.cuda.get_device_name(), vram, ram, rate, reading)


def processor() -> Machine:
    """Returns this machine without its GPU, on which this process shall allocate nothing, and without measuring it."""
    return Machine("", 0, _ram(), 0)


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

    sizes: bytes of each stage's weights in float16.
    """
    if machine.gpu and machine.ram < PROCESS["cuda"]:
        return f"not enough RAM: {_gb(PROCESS['cuda'])} GB are needed beside a GPU, {_gb(machine.ram)} are free"
    device, room = (CUDA, machine.vram) if machine.gpu else (CPU, machine.ram - PROCESS["cpu"])
    weights = sum(map(partial(_weights, device), sizes.values()))
    activations = max(_activations(stage, size, Spot(device, HELD, CHUNK[stage])) for stage, size in sizes.items())
    if weights + activations <= room:
        return {stage: Spot(device, HELD, CHUNK[stage]) for stage in sizes}
    spots = {}
    for stage, size in sizes.items():
        spot = _alone(stage, size, device, room)
        if spot is None and stage == "stage_3" and machine.gpu:  # few images, too large for most GPUs
            spot = _alone(stage, size, CPU, machine.ram - PROCESS["cuda"])
        if spot is None:
            what, free = ("GPU memory", machine.vram) if machine.gpu else ("RAM", machine.ram)
            least = _needed(stage, size, Spot(device, BY_LAYER, 1, tiles=True)) + free - room
            return f"not enough {what}: {stage} needs {_gb(least)} GB even layer by layer, {_gb(free)} are free"
        spots[stage] = spot
    return spots


def to_read(calls: Iterable[tuple[int, int]], sizes: Mapping[str, float], spots: Mapping[str, Spot]) -> float:
    """Returns the bytes of weights that these calls, (stage, images), read from disk.

    sizes: bytes of each stage's files.
    """
    total = sum(sizes[stage] for stage, spot in spots.items() if spot.offloading == HELD)
    previous = ""
    for number, images in calls:
        stage = f"stage_{number}"
        spot = spots[stage]
        if spot.offloading == BY_LAYER:
            forwards = ThirdStage.steps if number == 3 else -(-images // spot.chunk)
            total += sizes[stage] * forwards
        elif spot.offloading == IN_TURN and stage != previous:
            total += sizes[stage]
        previous = stage
    return total


def _alone(stage: str, size: float, device: torch.device, room: float) -> Spot | None:
    """Returns how a stage runs without another on its device: held if a fair batch fits beside it, else by layer; in
    tiles before by layer, which reads the weights at every step."""
    choices = [(IN_TURN, -(-CHUNK[stage] // 4), False), (BY_LAYER, 1, False)]
    if stage == "stage_3":
        choices = [(IN_TURN, 1, False), (IN_TURN, 1, True), (BY_LAYER, 1, True)]
    for offloading, least, tiles in choices:
        chunk = CHUNK[stage]
        while chunk >= least:
            spot = Spot(device, offloading, chunk, tiles)
            if _needed(stage, size, spot) <= room:
                return spot
            chunk //= 2
    return None


def _needed(stage: str, size: float, spot: Spot) -> float:
    """Returns the bytes of a stage's largest forward at this spot. size: of its weights in float16."""
    weights = _weights(spot.device, size) * (LAYER if spot.offloading == BY_LAYER else 1)
    return weights + _activations(stage, size, spot)


def _weights(device: torch.device, size: float) -> float:
    """Returns the bytes of weights there, of `size` in float16; on a CPU they are in float32."""
    return size * (2 if device.type == "cpu" else 1)


def _activations(stage: str, size: float, spot: Spot) -> float:
    """Returns the bytes of a forward's activations. Within an architecture they scale with the width, that is with the
    square root of the weights' size."""
    image = ACTIVATIONS[spot.device.type][f"{stage} in tiles" if stage == "stage_3" and spot.tiles else stage]
    return WORKSPACE[spot.device.type] + spot.chunk * image * min(1, (size / REFERENCE[stage]) ** 0.5)


def _gb(size: float) -> str:
    return f"{size / GB:.1f}"


def _ram() -> float:
    """Returns the free RAM, or this process's share of it all or the rest of its limit (`prlimit --data`) if that is
    smaller."""
    memory = psutil.virtual_memory()
    free = min(memory.available, memory.total / SHARING.ram)
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


def matmul_rate(
    device: torch.device, dtype: torch.dtype, side: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Returns the FLOP/s of a product of two square matrices, the best of several: an upper bound for a network.

    clock: returns the time in seconds.
    """
    a, b = torch.randn(2, side, side, device=device, dtype=dtype)

    def product() -> None:
        (a @ b)[0, 0].item()  # waits for the device

    return 2 * side**3 / min(timeit.repeat(product, timer=clock, number=1, repeat=10))


class Size(NamedTuple):
    """parameters: their number. flop: operations of one image's forward; a multiplication and an addition count as
    two."""

    parameters: int
    flop: int


def unet_size(config: Mapping[str, Any], side: int | None = None) -> Size:
    """Returns the size of a UNet, built without memory for its weights.

    side: the image's side in pixels, if it differs from the configuration's.
    """
    side, width = side or config["sample_size"], config.get("encoder_hid_dim") or config["cross_attention_dim"]
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        unet = UNet2DConditionModel.from_config(config)
        unet(
            torch.zeros(1, config["in_channels"], side, side),
            torch.zeros(1),
            encoder_hidden_states=torch.zeros(1, TOKENS, width),
            class_labels=torch.zeros(1, dtype=torch.long),  # ignored by a UNet without classes
        )
    return Size(unet.num_parameters(), counter.get_total_flops())
