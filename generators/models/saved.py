"""Folders as diffusers saves them: which files of a component are loaded, which are missing, and which are damaged.

Reads names, configurations and headers, not weights. Links are followed. A fault is told in a few words that begin with
the file's path below the folder.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}
NETWORKS = {  # by component: what its files of weights are called
    "text_encoder": "model",
    **dict.fromkeys(("unet", "vae", "transformer", "stage_2", "stage_3"), "diffusion_pytorch_model"),
}
TOKENIZER = {
    *("spiece.model", "tokenizer.json", "vocab.json", "merges.txt"),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
}
VARIANTS = ("fp16", None)  # the first that a component has is loaded
TYPES = ("F16", "BF16", "F32", "F64")  # of weights that can be loaded; others need scales, which nothing here reads
INDICES = ("position_ids",)  # tensors that hold no weights; older text encoders saved them, in int64


class Choice(NamedTuple):
    """The file by which the weights of a component are loaded: an index of shards, or the weights themselves."""

    file: str
    variant: str | None

    @property
    def is_index(self) -> bool:
        return self.file.endswith(".json")


def walk(folder: Path) -> Iterator[Path]:
    """Returns all files below a folder, also behind links; each folder once."""
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(parent, name) for name in names)


def choose(names: Collection[str], component: str, variants: Sequence[str | None] = VARIANTS) -> Choice | None:
    """Returns which of a component's files diffusers loads: what an index names, else the one canonical file.

    names: of the files in the component's folder. None if it has neither.
    """
    stem = NETWORKS[component]
    for variant in variants:
        infix = f".{variant}" if variant else ""
        indices = [f"{stem}.safetensors.index{infix}.json", f"{stem}.safetensors{infix}.index.json"]
        for name in (*indices, f"{stem}{infix}.safetensors"):
            if name in names:
                return Choice(name, variant)
    return None


def is_shard(name: str, component: str, variant: str | None) -> bool:
    """Returns whether a file is named as a shard of this component's weights in this variant."""
    infix = re.escape(f".{variant}") if variant else ""
    found = rf"{NETWORKS[component]}({infix}-\d+-of-\d+|-\d+-of-\d+{infix})\.safetensors"
    return re.fullmatch(found, name) is not None


def read_if_present(component: str) -> set[str]:
    """Returns the names of a component's small files that are read."""
    if component in NETWORKS:
        return {"config.json"}
    return TOKENIZER if component.startswith("tokenizer") else {"scheduler_config.json"}


def names_in(folder: Path) -> set[str]:
    """Returns the names in a folder, also those of links to nothing; none if it is not a folder."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def weights(folder: Path, component: str, variants: Sequence[str | None] = VARIANTS) -> list[str]:
    """Returns the names of the files from which a component's weights are loaded, present or not.

    Raises ValueError if an index is not valid; its message is the fault.
    """
    if component not in NETWORKS or not (choice := choose(names_in(folder / component), component, variants)):
        return []
    if not choice.is_index or not (folder / component / choice.file).is_file():
        return [choice.file]
    where = f"{component}/{choice.file}"
    found = json_object(folder, where).get("weight_map")
    if not isinstance(found, dict) or not found or not all(isinstance(shard, str) for shard in found.values()):
        raise ValueError(f"{where} is damaged: it names no shards")
    if others := [shard for shard in found.values() if Path(shard).name != shard or not shard.endswith(".safetensors")]:
        raise ValueError(f"{where} names {others[0]}, which is not a *.safetensors beside it")
    return sorted(set(found.values()))


def files(folder: Path, components: Iterable[str], variants: Sequence[str | None] = VARIANTS) -> list[str]:
    """Returns the files that loading these components reads, of those present, by relative path."""
    found = []
    for component in components:
        names = names_in(folder / component)
        read = names & read_if_present(component)
        if component in NETWORKS and (choice := choose(names, component, variants)):
            read |= {choice.file}
            with suppress(ValueError):  # nothing is loaded by a damaged index
                read |= set(weights(folder, component, variants))
        found += [f"{component}/{name}" for name in sorted(read) if (folder / component / name).is_file()]
    return sorted(found)


def absent(path: Path) -> str:
    """Returns what a file or folder that is not there is: missing, or a link to what is gone."""
    return f"is a link to {path.readlink()}, which is gone" if path.is_symlink() else "is missing"


def missing(
    folder: Path,
    components: Sequence[str],
    tokenizer: Sequence[tuple[str, ...]] = (),
    variants: Sequence[str | None] = VARIANTS,
) -> str | None:
    """Returns which file of these components is missing, in a few words; None if all are present.

    tokenizer: the sets of files of which a tokenizer needs one.
    """
    for component in components:
        if not (place := folder / component).is_dir():
            return f"{component}/ {absent(place)}"
        names = names_in(place)
        is_tokenizer = component.startswith("tokenizer")
        needed = [] if is_tokenizer else sorted(read_if_present(component))
        if component in NETWORKS:
            if not (choice := choose(names, component, variants)):
                return f"{component}/ {_without_weights(names, component)}"
            needed.append(choice.file)
            with suppress(ValueError):  # of a damaged index; see `damaged`
                needed += weights(folder, component, variants)
        if is_tokenizer and tokenizer and not any(all((place / name).is_file() for name in few) for few in tokenizer):
            links = [name for few in tokenizer for name in few if (place / name).is_symlink()]
            if gone := [name for name in links if not (place / name).exists()]:
                return f"{component}/{gone[0]} {absent(place / gone[0])}"
            return f"{component}/ has neither {' nor '.join(' with '.join(few) for few in tokenizer)}"
        for name in needed:
            if not (place / name).is_file():
                return f"{component}/{name} {absent(place / name)}"
    return None


def _without_weights(names: Collection[str], component: str) -> str:
    """Returns what a folder has in place of the weights that would be loaded."""
    stem = NETWORKS[component]
    if any(re.fullmatch(rf"{stem}.*-\d+-of-\d+.*\.safetensors", name) for name in names):
        return "has shards and no index of them"
    if any(name.endswith(".safetensors") for name in names):
        return f"has no {stem}.safetensors, the name that is loaded"
    if pickles := sorted(name for name in names if Path(name).suffix in PICKLES):
        return f"has no *.safetensors, only {pickles[0]}, a pickle, which can execute code and is not read"
    return "has no *.safetensors"


def damaged(folder: Path, components: Sequence[str], variants: Sequence[str | None] = VARIANTS) -> str | None:
    """Returns which file of these components is damaged or incomplete, how, and what to do; None if none is."""
    again = "; remove the file and fetch it again"
    for component in components:
        try:
            tensors = set(weights(folder, component, variants))
        except ValueError as error:
            return f"{error}{again}"
        for name in files(folder, [component], variants):
            path = folder / name
            if path.name in tensors:
                if fault := _fault(path):
                    return f"{name} {fault}{again}"
                if fault := _type_fault(path):
                    return f"{name} {fault}"
            elif not path.stat().st_size:
                return f"{name} is empty{again}"
            elif path.suffix == ".json":
                try:
                    json_object(folder, name)
                except ValueError as error:
                    return f"{error}{again}"
    return None


def _fault(path: Path) -> str | None:
    """Returns what is wrong with a file of weights, by its header and its length."""
    size = path.stat().st_size
    try:
        header = Header.of(path)
    except ValueError:
        return f"is damaged: {size:,} bytes without a header"
    if size != header.size:
        return f"is incomplete: {size:,} of {header.size:,} bytes"
    return None


def _type_fault(path: Path) -> str | None:
    """Returns which tensor of a file with a valid header has a type of which no weights are loaded."""
    for name, dtype in Header.of(path).dtypes.items():
        if dtype not in TYPES and not name.endswith(INDICES):
            return f"holds {name} in {dtype}, which is not supported; save the weights in {' or '.join(TYPES)}"
    return None


def json_object(folder: Path, name: str) -> dict[str, Any]:
    """Reads a JSON object. Raises ValueError if it is none; its message is the fault."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is damaged: it is not JSON") from error
    if not isinstance(found, dict):
        raise ValueError(f"{name} is damaged: it is not a JSON object")
    return found


class Header(NamedTuple):
    """What a safetensors header says: the file's bytes, and the shape and the type of each tensor."""

    size: int
    shapes: dict[str, list[int]]
    dtypes: dict[str, str]

    @property
    def parameters(self) -> int:
        return sum(map(math.prod, self.shapes.values()))

    @classmethod
    def of(cls, path: Path) -> Header:
        """Reads a file's header. Raises ValueError if it is invalid."""
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                found = json.loads(file.read(min(length, 100_000_000)))
            tensors = {name: tensor for name, tensor in found.items() if name != "__metadata__"}
            size = 8 + length + max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
            shapes = {name: [int(side) for side in tensor["shape"]] for name, tensor in tensors.items()}
            return cls(size, shapes, {name: str(tensor["dtype"]) for name, tensor in tensors.items()})
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} has no valid header") from error
