"""Plans a run of the cascade before the first byte is fetched: what it needs, what is present, what will be done.

`doctor` prints the plan; `prepare` carries it out, up to the drawing; `load` returns the model. Each problem is refused
in one line: missing or partial weights, no token, no licence, no network, a wrong commit, a full disk, too little
memory, or a CPU that would take days.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants
from torch import Tensor
from transformers import CLIPTokenizer, T5Tokenizer

from ...records.errors import ModelError
from .. import saved
from ..provider import DryRun
from . import course_embeddings, hub, weights
from .cascade import DeepFloyd, SecondStage, Spot, ThirdStage
from .components import fault_of
from .course_embeddings import CourseEmbeddings
from .disk import return_freed_memory
from .machine import CPU, GB, disk, matmul_rate, placement, present, processor, text_device, to_read, unet_size
from .text import DTYPE, Embeddings, check_tokens, encode, same_embedding, tokenizer_of

DECODING = 1.9e13  # FLOP of stage 3's autoencoder for 1024 x 1024 pixels
LONGEST = 12 * 3600  # seconds; a CPU that needs longer is refused
OUTPUT = {"stage_1": 6 * 64**2 * 4, "stage_2": 6 * 256**2 * 4, "stage_3": ThirdStage.steps * 8 * 256**2 * 4}  # bytes


class Plan:
    """lines: what to print. refusals: why it cannot work, one line each. The rest is input for `prepare`.

    local: the user's folder, if any. folders: of the stages that are present. missing: prompts without an embedding.
    text: the device of T5. spots: where the stages run. fetching: what to fetch. here: whether this process will draw;
    otherwise only files and embeddings are planned, and those without its GPU. Raises ModelError if there is no stage 1
    in the user's folder.
    """

    def __init__(self, name: str, local: Path | None, dry_run: DryRun, here: bool = True) -> None:
        self.name, self.local, self.folders = name, local, weights.stages(name, local)
        if local and "stage_1" not in self.folders:
            lacks = "has no stage_1/"
            if (local / "stage_1").is_symlink():
                lacks = f"is incomplete: stage_1/ {saved.absent(local / 'stage_1')}"
            raise ModelError(f"{name}: {local} {lacks}; save {weights.FIRST[name].id} there with diffusers")
        return_freed_memory()  # before the dry run allocates
        self.work = dry_run(SecondStage.steps, SecondStage.gamma != 1)
        self.machine = present(weights.largest(self.folders.values())) if here else processor()
        self.repositories = weights.repositories(name)
        self.lines: list[str] = []
        self.refusals: list[str] = []
        self.missing: list[str] = []
        self.text: torch.device | None = None
        self.spots: dict[str, Spot] = {}
        self.fetching: list[hub.Listing] = []
        self.undescribed: set[str] = set()  # stages whose UNets have been refused already
        self._plan_text()
        if here:
            self._plan_memory()
            self._plan_time()
        self._plan_files()  # last, so that nobody accepts a licence for a machine that is too small

    def say(self, term: str, text: str) -> None:
        self.lines.append(f"{self.name}: {term:8} {text}")

    def refuse(self, why: str) -> None:
        self.refusals.append(f"{self.name}: {why}")

    @property
    def components(self) -> dict[str, tuple[str, ...]]:
        """The stages that the workload needs, with the components of each to load."""
        asked = {"stage_1": True, "stage_2": self.work.second > 0, "stage_3": self.work.third > 0}
        found = {stage: components for stage, components in weights.STAGES.items() if asked[stage]}
        if self.missing:
            found["stage_1"] += weights.T5
        return found

    @property
    def text_size(self) -> float:
        """The bytes of T5 in float16."""
        return 2 * (weights.parameters(self.folders.get("stage_1"), ["text_encoder"]) or weights.T5_PARAMETERS)

    def _plan_text(self) -> None:
        prompts, kept = self.work.prompts, _embeddings(self.name, self.local, self.folders)
        missing = kept.missing(prompts)
        if isinstance(kept, CourseEmbeddings):
            self.say("prompts", f"{len(prompts)}, their embeddings from {kept.path}")
            if missing:
                named = ", ".join(f"“{prompt}”" for prompt in missing)
                remedy = f"add them, or unset {course_embeddings.VARIABLE}: T5 then encodes all"
                self.refuse(f"{kept.path} lacks {named}; {remedy}")
            else:
                self._compare(kept.read, kept.path, "fetch the file again, or reword one")
            return
        if not missing:
            self.say("prompts", f"{len(prompts)}, all encoded already")
            self._compare(kept.read, kept.folder, "remove this folder, and they are encoded again, or reword one")
            return
        self.missing = missing
        found = text_device(self.machine, self.text_size)
        some = f"{len(missing)} of {len(prompts)} to encode"
        if isinstance(found, str):
            self.refuse(f"{found}; close other programs")
            self.say("prompts", some)
        else:
            self.text = found
            where = "the GPU" if found.type == "cuda" else "the processor"
            read = f"{self.text_size / GB:.1f} GB are read once"
            self.say("prompts", f"{some}, by T5 in {DTYPE} on {where}, layer by layer: {read}")

    def _compare(self, read: Callable[[str], Tensor], where: Path, remedy: str) -> None:
        """Refuses embeddings that do not tell two prompts apart; before T5 encodes, its tokens are compared."""
        try:
            if alike := same_embedding(self.work.prompts, read):
                self.refuse(f"{where}: “{alike[0]}” and “{alike[1]}” have the same embedding; {remedy}")
        except ModelError as error:  # a damaged one
            self.refuse(str(error))

    def _plan_memory(self) -> None:
        machine, sizes = self.machine, _sizes(self.name, self.folders, self.components)
        each = " + ".join(f"{size / GB:.1f}" for size in sizes.values())
        gpu = f"{machine.gpu}, {machine.vram / GB:.1f} GB free" if machine.gpu else "no GPU"
        self.say("memory", f"{each} GB of weights in float16; {gpu}, RAM {machine.ram / GB:.1f} GB free")
        found = placement(machine, sizes)
        if isinstance(found, str):
            self.refuse(f"{found}; close other programs, or try MODEL=deepfloyd-m")
            return
        self.spots = found
        for stage, spot in found.items():
            where = "on the GPU, in float16" if spot.device.type == "cuda" else "on the processor, in float32"
            tiles = ", decoded in tiles" if spot.tiles else ""
            self.say(stage, f"{where}, {spot.offloading}, {spot.chunk} images a forward at most{tiles}")

    def _plan_time(self) -> None:
        work, machine = self.work, self.machine

        def cost(stage: str, side: int | None = None) -> float:
            if (config := _config(self.folders, stage)) is None:
                return self.repositories[stage].flop
            try:
                return unet_size(config, side).flop
            except Exception as error:  # of any type: the library checks no configuration
                path, why = self.folders[stage] / "unet" / "config.json", " ".join(str(error).split())[:160]
                self.undescribed.add(stage)
                self.refuse(f"{path} does not describe a UNet of {stage} ({why}); remove the file and fetch it again")
                return self.repositories[stage].flop

        flop = {"stage_1": work.first * cost("stage_1")}
        if work.second:
            flop["stage_2"] = work.second * cost("stage_2")
        if work.third:  # guided: two evaluations a step
            flop["stage_3"] = work.third * (2 * ThirdStage.steps * cost("stage_3", 256) + DECODING)
        self.say("work", f"{work}: {sum(flop.values()) / 1e15:.3g} PFLOP")
        rates = {stage: self._rate(stage) for stage in flop}
        seconds = sum(flop[stage] / rate for stage, rate in rates.items())
        each = " and ".join(f"{rate / 1e12:.3g}" for rate in dict.fromkeys(rates.values()))  # of the GPU, the processor
        self.say("time", f"{_span(seconds)} or more, at the {each} TFLOP/s of a matrix product measured just now")
        if self.spots:
            size = to_read(work.calls, _sizes(self.name, self.folders, self.spots), self.spots)
            size += self.text_size if self.missing else 0
            duration = "the duration is known once they are present"
            if machine.reading:
                rate = f"the {machine.reading / GB:.2f} GB/s of this disk measured just now"
                duration = f"{_span(size / machine.reading)} at {rate}"
                seconds += size / machine.reading
            self.say("reading", f"{size / GB:,.0f} GB of weights in all: {duration}")
        if not machine.gpu and seconds > LONGEST:
            self.refuse(
                f"no GPU, and this CPU would take {seconds / 3600:.0f} hours or more; {LONGEST // 3600} hours are "
                "the limit; use a CUDA GPU, draw fewer sections, or use deepfloyd-m"
            )

    def _rate(self, stage: str) -> float:
        """Returns the FLOP/s where a stage runs: on the processor, if it does not fit on the GPU."""
        on_cpu = self.machine.gpu and stage in self.spots and self.spots[stage].device == CPU
        return matmul_rate(CPU, torch.float32, 1024) if on_cpu else self.machine.rate

    def _plan_files(self) -> None:
        """Checks what is present, damaged or to be fetched, and whether the disk has room."""
        for stage, components in self.components.items():
            repository, folder = self.repositories[stage], self.folders.get(stage)
            source = "a local folder" if self.local else f"{repository.id} at {(repository.commit or 'main')[:12]}"
            lacks = weights.missing(folder, components) if folder else f"{stage}/ is missing"
            if self.local and not folder:
                lacks = f"{stage}/ {saved.absent(self.local / stage)}"
            if folder and not lacks:
                variants = weights.variants(folder, components)
                self.say(stage, f"{source}, present" + ("" if variants == "full" else f", in {variants}"))
                checked = [name for name in components if name != "unet" or stage not in self.undescribed]
                if fault := _fault(folder, stage, checked, self.work.prompts):
                    self.refuse(fault)
            elif self.local:
                self.say(stage, f"{source}, incomplete")
                self.refuse(f"{self.local}: {lacks} ({stage}); save {repository.id} there with diffusers")
            else:
                self.say(stage, f"{source}, to be fetched" + (f": {lacks}" if folder else ""))
                try:
                    self.fetching.append(hub.listing(self.name, repository, components))
                except ModelError as error:
                    self.refusals.append(f"{error} ({folder}/{lacks})" if folder else str(error))
        outputs = sum(OUTPUT[f"stage_{stage}"] * images for stage, images in self.work.calls)
        self.say("disk", f"at most {outputs / GB:.1f} GB of cached outputs in .report/ until their section is finished")
        if size := sum(sum(found.sizes.values()) for found in self.fetching):
            cache = Path(constants.HF_HUB_CACHE)
            free = disk(cache)
            self.say("disk", f"{size / GB:.1f} GB to be fetched, {free / GB:.1f} GB free in {cache}")
            if size > free:
                self.refuse(
                    f"the disk of {cache} is too small: {size / GB:.1f} GB are needed and {free / GB:.1f} are free"
                )


class Progress:
    """Tells at intervals of at least 10 seconds how far a piece of work is, and the time left."""

    def __init__(self, tell: Callable[[str], None], prefix: str = "") -> None:
        self.tell, self.prefix = tell, prefix
        self.began = self.last_told = time.monotonic()

    def __call__(self, what: str, done: float) -> None:
        """what: has been reached. done: the fraction of the work before it."""
        now = time.monotonic()
        if done > 0 and now - self.last_told >= 10:
            self.tell(f"{self.prefix}{what}, about {_span((now - self.began) / done * (1 - done))} left")
            self.last_told = now


def doctor(name: str, local: Path | None, dry_run: DryRun) -> tuple[list[str], list[str]]:
    """Returns the lines that a run would print first, and all reasons why it would not start. Fetches and encodes
    nothing."""
    plan = Plan(name, local, dry_run)
    return plan.lines, plan.refusals


def prepare(name: str, local: Path | None, dry_run: DryRun, tell: Callable[[str], None], here: bool = True) -> None:
    """Reports the plan, fetches what is missing, and encodes the prompts that have no embedding. Raises ModelError."""
    plan = Plan(name, local, dry_run, here)
    for line in plan.lines:
        tell(line)
    if plan.refusals:
        raise ModelError(plan.refusals[0])
    for found in plan.fetching:
        tell(f"{name}: fetching  {found.repository.id}")
        hub.fetch(name, found)
        weights.pin(found.repository.id, found.commit)
    folders = weights.stages(name, local)
    for stage, components in plan.components.items():
        if why := weights.missing(folders[stage], components):
            raise ModelError(
                f"{name}: {folders[stage]}/{why}; remove that stage's folder and run the same command again"
            )
        if plan.fetching and (why := _fault(folders[stage], stage, components, plan.work.prompts)):
            raise ModelError(f"{name}: {why}")
    if plan.missing:
        assert plan.text
        for prompt in plan.missing:
            tell(f"{name}: encoding  “{prompt}”")
        progress = Progress(tell, f"{name}: encoding  ")
        encode(plan.missing, t5_embeddings(name, local), folders["stage_1"], plan.text, progress)


def load(name: str, local: Path | None) -> DeepFloyd:
    """Loads the prepared cascade. Raises ModelError."""
    folders = weights.stages(name, local)
    if "stage_1" not in folders:
        raise ModelError(f"{name}: stage 1 is missing; `report doctor --model {name}` shows what to fetch")
    machine, sizes = present(), _sizes(name, folders, folders)
    spots = placement(machine, sizes)
    while isinstance(spots, str) and len(sizes) > 1:  # a last stage may be present without being needed
        sizes.popitem()
        spots = placement(machine, sizes)
    if isinstance(spots, str):
        raise ModelError(f"{name}: {spots}; `report doctor --model {name}` shows what is needed")
    kept = _embeddings(name, local, folders)
    settings = {}
    for stage, folder in folders.items():
        repository, variants = weights.repositories(name)[stage], weights.variants(folder, weights.STAGES[stage])
        origin = "a local folder" if local else f"{repository.id} at {repository.commit}"
        settings[stage.replace("_", " ")] = f"{origin}, {variants} files"
    settings["text encoder"] = kept.called
    level = f"noise level {SecondStage.level}"
    settings["stage 2 samples"] = f"{SecondStage.steps} steps, guidance {SecondStage.gamma:g}, {level}"
    stages = {stage: folder for stage, folder in folders.items() if stage in spots}
    return DeepFloyd(name, stages, spots, kept.read, weights.digest(name, local), settings)


def _fault(folder: Path, stage: str, components: Sequence[str], prompts: Sequence[str]) -> str | None:
    """Returns what is wrong with the files of these components of a stage, none of which is missing; None if nothing
    is."""
    if incomplete := weights.incomplete(folder, components):
        return f"{folder}/{incomplete}"
    return _lost_text(folder, stage, components, prompts) or fault_of(stage, folder, components)


def _lost_text(folder: Path, stage: str, components: Sequence[str], prompts: Sequence[str]) -> str | None:
    """Returns why the tokenizer of a stage, if it is among the components, would lose text of the prompts, if so."""
    if "tokenizer" not in components:
        return None
    try:
        tokenizer = tokenizer_of(folder, T5Tokenizer if stage == "stage_1" else CLIPTokenizer)
        check_tokens(prompts, tokenizer, folder / "tokenizer")
    except ModelError as error:
        return str(error)
    return None


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 3600:.1f} hours" if seconds > 3600 else f"{seconds / 60:.1f} minutes"


def _sizes(name: str, folders: Mapping[str, Path], stages: Iterable[str]) -> dict[str, float]:
    """Returns the bytes of each of these stages in float16, without T5; from the published numbers if it is absent."""
    repositories = weights.repositories(name)
    return {
        stage: 2 * (weights.parameters(folders.get(stage), weights.STAGES[stage]) or repositories[stage].parameters)
        for stage in stages
    }


def _config(folders: Mapping[str, Path], stage: str) -> dict[str, Any] | None:
    """Returns the configuration of a stage's UNet; None if it is absent or damaged, which the files' check refuses."""
    try:
        return saved.json_object(folders[stage], "unet/config.json")
    except (KeyError, OSError, ValueError):
        return None


def _embeddings(name: str, local: Path | None, folders: Mapping[str, Path]) -> CourseEmbeddings | Embeddings:
    """Returns the embeddings in the user's file, if one is set, or T5's. Raises ModelError if the file is not valid."""
    if file := course_embeddings.embeddings_file():
        config = _config(folders, "stage_1")
        return CourseEmbeddings(file, config.get("encoder_hid_dim") if config else None)
    return t5_embeddings(name, local)


def t5_embeddings(name: str, local: Path | None) -> Embeddings:
    """Returns the embeddings of T5 in stage 1, which `encode` fills."""
    return Embeddings(weights.CACHE / "embeddings", weights.encoder(name, local))
