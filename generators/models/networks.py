"""Networks and schedules as diffusers saves them, tried before anything is drawn: does the configuration describe one,
and do the weights fit it?

A network is built on torch's meta device, without memory for its weights, and compared with the headers of its files. A
schedule takes one step. The libraries check no configuration: they fail with errors of any type, or far into a run.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..diffusion.schedule import T
from ..records.errors import ModelError
from . import saved

Net = TypeVar("Net", bound=nn.Module)
SCHEDULER = "scheduler_config.json"


def empty(make: Callable[[], Net], config: Path) -> Net:
    """Returns the network that `make` builds from a configuration, on the meta device. Raises ModelError if it
    describes none."""
    with _described(config, "network"), torch.device("meta"):
        return make()


def check_fit(wanted: Mapping[str, Tensor], shapes: Mapping[str, Collection[int]], folder: Path) -> None:
    """Raises ModelError if a weight is not among these, by name, or has another shape there. wanted: a state dict."""
    for name, tensor in wanted.items():
        if name not in shapes:
            raise ModelError(f"{folder}: the weights lack {name}; fetch them again")
        if (shape := tuple(shapes[name])) != tuple(tensor.shape):
            raise ModelError(
                f"{folder}: {name} is {shape} in the weights and {tuple(tensor.shape)} by config.json; fetch both again"
            )


def shapes_in(folder: Path, component: str, variants: Collection[str | None]) -> dict[str, list[int]]:
    """Returns the shapes of a component's tensors, by name, from the headers of the files that are loaded."""
    found: dict[str, list[int]] = {}
    for name in saved.weights(folder, component, tuple(variants)):
        found |= saved.Header.of(folder / component / name).shapes
    return found


def scheduler(kind: Any, folder: Path) -> Any:
    """Loads a scheduler of diffusers from its folder and tries it. Raises ModelError if its configuration describes
    none of 1000 noise levels, or one that cannot take a step."""
    config = folder / SCHEDULER
    with _described(config, "schedule"):
        found, tried = (kind.from_pretrained(folder) for _ in range(2))
        x = torch.zeros(1, 3, 8, 8)
        tried.set_timesteps(2)
        t = tried.timesteps[0]
        learned = str(tried.config.get("variance_type", "")).startswith("learned")
        answer = torch.cat([x, x], dim=1) if learned else x
        noised = tried.add_noise(x, x + 1, t[None])
        stepped = tried.step(answer, t, x, generator=torch.Generator().manual_seed(0)).prev_sample
    levels = found.alphas_cumprod
    if len(levels) != T or not all(values.isfinite().all() for values in (levels, noised, stepped)):
        raise ModelError(f"{config} describes no schedule of {T} noise levels; remove the file and fetch it again")
    return found


@contextmanager
def _described(config: Path, what: str) -> Iterator[None]:
    """Turns the errors of libraries in the block into a ModelError about a configuration; the program's own pass."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # of any type: the libraries check no configuration
        if not _raised_in_a_library(error):
            raise
        why = " ".join(str(error).split())[:160] or type(error).__name__
        raise ModelError(f"{config} describes no {what} ({why}); remove the file and fetch it again") from error


def _raised_in_a_library(error: Exception) -> bool:
    """Returns whether the innermost statement of an error is of an installed package or of Python itself."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    innermost = Path(files[-1])
    libraries = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    own = Path(__file__).parents[1]
    within = innermost.name.startswith("<frozen") or any(innermost.is_relative_to(library) for library in libraries)
    return within and not innermost.is_relative_to(own)
