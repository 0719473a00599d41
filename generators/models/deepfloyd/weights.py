"""Where a cascade's weights are, in which revision and variant, and whether they are whole. Reads headers, no weights.

They come from a folder of one's own (DEEPFLOYD_WEIGHTS and, for the smaller ones, DEEPFLOYD_L_WEIGHTS and
DEEPFLOYD_M_WEIGHTS), with stage_1/, stage_2/ and stage_3/ as diffusers' `save_pretrained` leaves them; without one,
from the Hugging Face Hub's cache on this machine, at pinned commits.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from .. import ModelError
from . import course_embeddings

CACHE = Path(__file__).parents[3] / ".cache" / "deepfloyd"  # embeddings, digests and resolved revisions
STAGES = {  # the parts of each stage that are loaded; the first is its UNet
    "stage_1": ("unet", "scheduler", "text_encoder", "tokenizer"),
    "stage_2": ("unet", "scheduler", "image_noising_scheduler"),
    "stage_3": ("unet", "scheduler", "low_res_scheduler", "vae", "text_encoder", "tokenizer"),
}
HAVE_WEIGHTS = ("unet", "text_encoder", "vae")


class Repository(NamedTuple):
    """A stage on the Hub. commit: None where none is known before the first fetch. gated: its licence must be accepted.

    parameters: of its UNet, of stage 3 in all. flop: of one image's forward with 77 tokens, of stage 3 at 256 latents a
    side. Both are estimates for as long as the weights are not here; then they are counted.
    """

    id: str
    commit: str | None
    parameters: float
    flop: float
    gated: bool = True


T5_PARAMETERS = 4.76e9  # T5-XXL's encoder
SECOND = Repository("DeepFloyd/IF-II-L-v1.0", "609476ce702b2d94aff7d1f944dcc54d4f972901", 1.18e9, 2.98e12)
THIRD = Repository(
    "stabilityai/stable-diffusion-x4-upscaler", "572c99286543a273bfd17fac263db5a77be12c4c", 0.87e9, 4.53e12, False
)
FIRST = {
    "deepfloyd": Repository("DeepFloyd/IF-I-XL-v1.0", "c03d510e9b75bce9f9db5bb85148c1402ad7e694", 4.305e9, 2.88e12),
    "deepfloyd-l": Repository("DeepFloyd/IF-I-L-v1.0", None, 0.935e9, 0.61e12),
    "deepfloyd-m": Repository("DeepFloyd/IF-I-M-v1.0", None, 0.372e9, 0.23e12),
}


def repositories(name: str) -> dict[str, Repository]:
    """The Hub's repositories by stage, each at its pinned commit, or at the one it was first fetched at."""
    found = {"stage_1": FIRST[name], "stage_2": SECOND, "stage_3": THIRD}
    return {
        stage: repository._replace(commit=repository.commit or _read("revisions.json").get(repository.id))
        for stage, repository in found.items()
    }


def remember(repository: str, commit: str) -> None:
    """From now on, this repository is at this commit, wherever its main branch goes."""
    _write("revisions.json", {**_read("revisions.json"), repository: commit})


def stages(name: str, own: Path | None) -> dict[str, Path]:
    """The folders of the stages that are here, whole or not."""
    if own is not None:
        return {stage: own / stage for stage in STAGES if (own / stage).is_dir()}
    cache = Path(constants.HF_HUB_CACHE)
    folders = {
        stage: cache / repo_folder_name(repo_id=repository.id, repo_type="model") / "snapshots" / repository.commit
        for stage, repository in repositories(name).items()
        if repository.commit
    }
    return {stage: folder for stage, folder in folders.items() if folder.is_dir()}


def largest(here: Mapping[str, Path]) -> Path | None:
    """The largest file of the weights that are here."""
    paths = [path for folder in here.values() for path in folder.rglob("*.safetensors")]
    return max(paths, key=lambda path: path.stat().st_size, default=None)


def digest(name: str, own: Path | None) -> str:
    """Which weights these are: of the Hub by repository and commit, of a folder by the contents of all its files.

    Embeddings that were handed out count as well.
    """
    total = hashlib.sha256()
    if file := course_embeddings.chosen():
        total.update(f"{_of_files([file], file.parent)}\n".encode())
    if own is not None:
        total.update(_of_files([path for path in own.rglob("*") if path.is_file()], own).encode())
    else:
        for stage, repository in repositories(name).items():
            total.update(f"{stage} {repository.id}@{repository.commit}\n".encode())
    return total.hexdigest()


def _of_files(paths: Iterable[Path], folder: Path) -> str:
    """sha256 over the contents of files, by their names in a folder; each is read once, as long as it stays."""
    total, known, seen = hashlib.sha256(), _read("digests.json"), {}
    for path in sorted(paths):
        stamp = path.stat()
        key = f"{path.resolve()} {stamp.st_size} {stamp.st_mtime_ns}"
        if key not in known:
            with path.open("rb") as file:
                known[key] = seen[key] = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {known[key]}\n".encode())
    if seen:
        _write("digests.json", {**_read("digests.json"), **seen})
    return total.hexdigest()


def encoder(name: str, own: Path | None) -> str:
    """What the text encoder is called among the embeddings."""
    if own is None:
        first = repositories(name)["stage_1"]
        return f"{first.id}@{first.commit}"
    folders = [own / "stage_1" / part for part in ("text_encoder", "tokenizer")]
    return "".join(_of_files([path for path in folder.rglob("*") if path.is_file()], folder) for folder in folders)


def check(name: str, own: Path) -> None:
    """Raises ModelError where a folder of one's own has no stage 1."""
    if not (own / "stage_1").is_dir():
        first = FIRST[name].id
        raise ModelError(f"{name}: {own} has no stage_1/; save {first} there with diffusers")


def variant(names: Sequence[str], parts: Sequence[str]) -> str | None:
    """Which variant to load of a stage with these files: fp16 where every part that has weights comes in it."""
    halves = {name.split("/")[0] for name in names if name.endswith(".safetensors") and ".fp16" in name}
    there = {name.split("/")[0] for name in names if name.endswith(".safetensors")}
    weighty = there & set(parts) & set(HAVE_WEIGHTS)
    return "fp16" if weighty and weighty <= halves else None


def wanted(names: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Of a repository's files, those that loading these parts takes: one variant's safetensors, and what is small."""
    half = variant(names, parts) == "fp16"

    def chosen(name: str) -> bool:
        part, _, file = name.partition("/")
        if part not in parts:
            return name == "model_index.json"
        if re.search(r"\.safetensors$|\.index(\.\w+)?\.json$", file):
            return (".fp16" in file) == half and "non_ema" not in file and ".bin" not in file
        return file.endswith((".json", ".txt", ".model"))

    return [name for name in names if chosen(name)]


def files(folder: Path) -> list[str]:
    """All the files below a folder, by their path in it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def missing(folder: Path, parts: Sequence[str]) -> str | None:
    """Which file is not there that these parts of a stage need, in a few words; None where all are."""
    names = wanted(files(folder), parts)
    for part in parts:
        of_part = [name for name in names if name.startswith(f"{part}/")]
        if not of_part:
            return f"{part}/ is missing"
        if part not in HAVE_WEIGHTS:
            continue
        tensor_files = {name for name in of_part if name.endswith(".safetensors")}
        indices = [name for name in of_part if ".index." in name]
        if not tensor_files:
            return f"{part}/ has no *.safetensors"
        if not indices and any(re.search(r"-\d+-of-\d+\.", name) for name in tensor_files):
            return f"{part}/ has shards and no index of them"
        for index in indices:
            shards = set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values())
            for absent in sorted({f"{part}/{shard}" for shard in shards} - tensor_files):
                return f"{absent} is missing"
    return None


def torn(folder: Path, parts: Sequence[str]) -> str | None:
    """Which file to be loaded is half there, in a few words; None where each is as long as its header says."""
    for name in wanted(files(folder), parts):
        if name.endswith(".safetensors"):
            path = folder / name
            size = path.stat().st_size
            try:
                length, tensors = header(path)
                ends = [tensor["data_offsets"][1] for tensor in tensors.values()]
            except (ValueError, KeyError, TypeError, AttributeError):
                return f"{name} is damaged: {size:,} bytes without a header"
            if size != (whole := 8 + length + max(ends, default=0)):
                return f"{name} is half there: {size:,} of {whole:,} bytes"
    return None


def parameters(folder: Path | None, parts: Sequence[str]) -> int:
    """How many numbers the weights of these parts of a stage are, by the headers of the files to be loaded.

    0 where the stage is not here, or a file is missing or has no header.
    """
    if folder is None or missing(folder, parts):
        return 0
    names = [name for name in wanted(files(folder), parts) if name.endswith(".safetensors")]
    try:
        headers = [header(folder / name)[1] for name in names]
        return sum(math.prod(tensor["shape"]) for header in headers for tensor in header.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0


def shards(folder: Path, variant: str | None) -> list[Path]:
    """The files with the weights of one part of a stage, in one variant."""
    half = variant == "fp16"
    return sorted(
        path for path in folder.glob("*.safetensors") if (".fp16" in path.name) == half and "non_ema" not in path.name
    )


def header(path: Path) -> tuple[int, dict[str, Any]]:
    """A safetensors file's header: its length, and by name what each tensor is. Raises ValueError where it is none."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        found = json.loads(file.read(min(length, 100_000_000)))
    return length, {name: tensor for name, tensor in found.items() if name != "__metadata__"}


def _read(name: str) -> dict[str, str]:
    try:
        found = json.loads((CACHE / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(name: str, content: dict[str, str]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    part = CACHE / f"{name}.{os.getpid()}.part"
    part.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(CACHE / name)
