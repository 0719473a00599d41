"""Location, revision, variant and completeness of a cascade's weights. Reads headers, not weights.

Weights come from a local folder (DEEPFLOYD_WEIGHTS, or DEEPFLOYD_L_WEIGHTS and DEEPFLOYD_M_WEIGHTS for the smaller
sizes) with stage_1/, stage_2/ and stage_3/ as saved by diffusers' `save_pretrained`; otherwise from the Hugging Face
Hub's cache on this machine, at pinned commits.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from ...records.errors import ModelError
from ...records.files import write
from . import course_embeddings

CACHE = Path(__file__).parents[3] / ".cache" / "deepfloyd"  # embeddings, digests and resolved revisions
STAGES = {  # the loaded parts of each stage; the first is its UNet
    "stage_1": ("unet", "scheduler", "text_encoder", "tokenizer"),
    "stage_2": ("unet", "scheduler", "image_noising_scheduler"),
    "stage_3": ("unet", "scheduler", "low_res_scheduler", "vae", "text_encoder", "tokenizer"),
}
HAVE_WEIGHTS = ("unet", "text_encoder", "vae")


class Repository(NamedTuple):
    """A stage on the Hub. commit: None if unknown before the first fetch. gated: its licence must be accepted.

    parameters: of its UNet; for stage 3, of all parts. flop: of one image's forward with 77 tokens; for stage 3, at 256
    latents a side. Both are estimates, replaced by counts once the weights are present.
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
    """Returns the Hub's repositories by stage, each at its pinned commit or at the one of the first fetch."""
    found = {"stage_1": FIRST[name], "stage_2": SECOND, "stage_3": THIRD}
    return {
        stage: repository._replace(commit=repository.commit or _read("revisions.json").get(repository.id))
        for stage, repository in found.items()
    }


def pin(repository: str, commit: str) -> None:
    """Pins this repository to this commit from now on."""
    _write("revisions.json", {**_read("revisions.json"), repository: commit})


def stages(name: str, own: Path | None) -> dict[str, Path]:
    """Returns the folders of the stages that are present, complete or not."""
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
    """Returns the largest file of the present weights."""
    paths = [path for folder in here.values() for path in folder.rglob("*.safetensors")]
    return max(paths, key=lambda path: path.stat().st_size, default=None)


def digest(name: str, own: Path | None) -> str:
    """Identifies the weights: from the Hub by repository and commit, in a local folder by the contents of all files.

    Precomputed embeddings are included.
    """
    total = hashlib.sha256()
    if file := course_embeddings.embeddings_file():
        total.update(f"{_of_files([file], file.parent)}\n".encode())
    if own is not None:
        total.update(_of_files([path for path in own.rglob("*") if path.is_file()], own).encode())
    else:
        for stage, repository in repositories(name).items():
            total.update(f"{stage} {repository.id}@{repository.commit}\n".encode())
    return total.hexdigest()


def _of_files(paths: Iterable[Path], folder: Path) -> str:
    """Returns the sha256 over files and their names within a folder; caches each file's digest while it is
    unchanged."""
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
    """Returns the text encoder's name, part of the embeddings' keys."""
    if own is None:
        first = repositories(name)["stage_1"]
        return f"{first.id}@{first.commit}"
    folders = [own / "stage_1" / part for part in ("text_encoder", "tokenizer")]
    return "".join(_of_files([path for path in folder.rglob("*") if path.is_file()], folder) for folder in folders)


def check(name: str, own: Path) -> None:
    """Raises ModelError if a local folder has no stage 1."""
    if not (own / "stage_1").is_dir():
        first = FIRST[name].id
        raise ModelError(f"{name}: {own} has no stage_1/; save {first} there with diffusers")


def variant(names: Sequence[str], parts: Sequence[str]) -> str | None:
    """Returns the variant of a stage to load: fp16 if every part with weights has it."""
    halves = {name.split("/")[0] for name in names if name.endswith(".safetensors") and ".fp16" in name}
    there = {name.split("/")[0] for name in names if name.endswith(".safetensors")}
    weighty = there & set(parts) & set(HAVE_WEIGHTS)
    return "fp16" if weighty and weighty <= halves else None


def wanted(names: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Returns the files of a repository that loading these parts needs: one variant's safetensors, and the
    small files."""
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
    """Returns all files below a folder, by relative path."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def missing(folder: Path, parts: Sequence[str]) -> str | None:
    """Returns which file of these parts is missing, in a few words; None if all are present."""
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


def incomplete(folder: Path, parts: Sequence[str]) -> str | None:
    """Returns which file is incomplete, in a few words; None if each has the length that its header gives."""
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
                return f"{name} is incomplete: {size:,} of {whole:,} bytes"
    return None


def parameters(folder: Path | None, parts: Sequence[str]) -> int:
    """Returns the number of parameters of these parts, from the headers of the files to load.

    0 if the stage is absent, or if a file is missing or has no header.
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
    """Returns the weight files of one part of a stage, in one variant."""
    half = variant == "fp16"
    return sorted(
        path for path in folder.glob("*.safetensors") if (".fp16" in path.name) == half and "non_ema" not in path.name
    )


def header(path: Path) -> tuple[int, dict[str, Any]]:
    """Reads a safetensors header: its length, and the entry of each tensor by name. Raises ValueError if it is
    invalid."""
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
    write(CACHE / name, json.dumps(content, indent=1, sort_keys=True) + "\n")
