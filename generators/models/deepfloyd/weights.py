"""Location, revision, variant and completeness of a cascade's weights. Reads headers, not weights.

Weights come from a local folder (DEEPFLOYD_WEIGHTS, or DEEPFLOYD_L_WEIGHTS and DEEPFLOYD_M_WEIGHTS for the smaller
sizes) with stage_1/, stage_2/ and stage_3/ as saved by diffusers' `save_pretrained`; otherwise from the Hugging Face
Hub's cache on this machine, at pinned commits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ...records.files import write
from .. import saved
from . import course_embeddings

CACHE = Path(__file__).parents[3] / ".cache" / "deepfloyd"  # embeddings, digests and resolved revisions
STAGES = {  # the components that each stage runs with
    "stage_1": ("unet", "scheduler"),
    "stage_2": ("unet", "scheduler", "image_noising_scheduler"),
    "stage_3": ("unet", "scheduler", "low_res_scheduler", "vae", "text_encoder", "tokenizer"),
}
T5 = ("text_encoder", "tokenizer")  # of stage 1, which runs without them once all prompts are encoded
WITH_WEIGHTS = ("unet", "text_encoder", "vae")
TOKENIZERS = {  # the sets of files of which a tokenizer needs one: of T5, of CLIP
    "stage_1": (("spiece.model",), ("tokenizer.json",)),
    "stage_3": (("vocab.json", "merges.txt"), ("tokenizer.json",)),
}


class Repository(NamedTuple):
    """A stage on the Hub. commit: None if unknown before the first fetch. gated: its licence must be accepted.

    parameters: of its UNet; for stage 3, of all components. flop: of one image's forward with 77 tokens; for stage 3,
    at 256 latents a side. Both are estimates, replaced by counts once the weights are present.
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


def stages(name: str, local: Path | None) -> dict[str, Path]:
    """Returns the folders of the stages that are present, complete or not."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folders = {}
    for stage, repository in repositories(name).items():
        if local is not None:
            folders[stage] = local / stage
        elif repository.commit:
            cache = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository.id, repo_type="model")
            folders[stage] = cache / "snapshots" / repository.commit
    return {stage: folder for stage, folder in folders.items() if folder.is_dir()}


def largest(folders: Iterable[Path]) -> Path | None:
    """Returns the largest file of weights to load in these folders."""
    paths = [folder / name for folder in folders for name in tensor_files(folder, WITH_WEIGHTS)]
    present = [path for path in paths if path.is_file()]
    return max(present, key=lambda path: path.stat().st_size, default=None)


def digest(name: str, local: Path | None) -> str:
    """Identifies the weights: from the Hub by repository and commit, in a local folder by the files that are loaded.

    Precomputed embeddings are included, in place of the text encoder that they replace.
    """
    total = hashlib.sha256()
    if file := course_embeddings.embeddings_file():
        total.update(f"{_of_files(file.parent, [file.name])}\n".encode())
    if local is not None:
        for stage, components in STAGES.items():
            loaded = components + T5 if stage == "stage_1" and not file else components
            total.update(f"{stage} {_of_files(local / stage, saved.files(local / stage, loaded))}\n".encode())
    else:
        for stage, repository in repositories(name).items():
            total.update(f"{stage} {repository.id}@{repository.commit}\n".encode())
    return total.hexdigest()


def _of_files(folder: Path, names: Iterable[str]) -> str:
    """Returns the sha256 over files of a folder and their names; caches each file's digest while it is unchanged."""
    total, known, seen = hashlib.sha256(), _read("digests.json"), {}
    for name in names:
        path = folder / name
        stamp = path.stat()
        key = f"{path.resolve()} {stamp.st_size} {stamp.st_mtime_ns} {stamp.st_ctime_ns}"
        if key not in known:
            with path.open("rb") as file:
                known[key] = seen[key] = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{name} {known[key]}\n".encode())
    if seen:
        _write("digests.json", {**_read("digests.json"), **seen})
    return total.hexdigest()


def encoder(name: str, local: Path | None) -> str:
    """Returns the text encoder's name, part of the embeddings' keys."""
    if local is None:
        first = repositories(name)["stage_1"]
        return f"{first.id}@{first.commit}"
    return _of_files(local / "stage_1", saved.files(local / "stage_1", T5))


def variant(folder: Path, component: str) -> str | None:
    """Returns the variant of a component that is loaded: fp16 if it has it."""
    choice = saved.choose(saved.names_in(folder / component), component)
    return choice.variant if choice else None


def variants(folder: Path, components: Iterable[str]) -> str:
    """Returns the variants of these components in words: fp16, full, or which component has which."""
    found = {component: variant(folder, component) or "full" for component in components if component in WITH_WEIGHTS}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ", ".join(f"{component} {name}" for component, name in found.items())


def wanted(names: Sequence[str], components: Sequence[str]) -> list[str]:
    """Returns the files of a repository that loading these components needs: of each one variant's safetensors, and
    the small files. names: by relative path."""
    chosen = {"model_index.json"}
    for component in components:
        found = {name.removeprefix(f"{component}/") for name in names if name.startswith(f"{component}/")}
        kept = saved.read_if_present(component)
        if component in WITH_WEIGHTS and (choice := saved.choose(found, component)):
            kept = kept | {choice.file}
            if choice.is_index:
                kept |= {name for name in found if saved.is_shard(name, component, choice.variant)}
        chosen |= {f"{component}/{name}" for name in kept}
    return [name for name in names if name in chosen]


def missing(folder: Path, components: Sequence[str]) -> str | None:
    """Returns which file of these components of a stage is missing, in a few words; None if all are present."""
    return saved.missing(folder, components, TOKENIZERS["stage_3" if "vae" in components else "stage_1"])


def incomplete(folder: Path, components: Sequence[str]) -> str | None:
    """Returns which file is incomplete or damaged, how, and what to do; None if none is."""
    return saved.damaged(folder, components)


def parameters(folder: Path | None, components: Sequence[str]) -> int:
    """Returns the number of parameters of these components, from the headers of the files to load.

    0 if the stage is absent, or if a file is missing or has no header.
    """
    if folder is None or missing(folder, components):
        return 0
    try:
        return sum(saved.Header.of(folder / name).parameters for name in tensor_files(folder, components))
    except (OSError, ValueError):
        return 0


def tensor_files(folder: Path, components: Sequence[str]) -> list[str]:
    """Returns the files with the weights of these components, in the variant to load, by relative path, present or
    not; none of a component whose index is damaged."""
    found = []
    for component in components:
        with suppress(ValueError):
            found += [f"{component}/{name}" for name in saved.weights(folder, component)]
    return found


def _read(name: str) -> dict[str, str]:
    try:
        found = json.loads((CACHE / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(name: str, content: dict[str, str]) -> None:
    write(CACHE / name, json.dumps(content, indent=1, sort_keys=True) + "\n")
