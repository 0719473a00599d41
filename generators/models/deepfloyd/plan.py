"""Plans a run of the cascade before the first byte is fetched: what it needs, what is present, what will be done.

`doctor` prints the plan; `prepare` carries it out, up to the drawing; `load` returns the model. Each problem is refused
in one line: missing or partial weights, no token, no licence, no network, a wrong commit, a full disk, too little
memory, or a CPU that would take days.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from huggingface_hub import constants

from ...records.errors import ModelError
from ..provider import DryRun, Workload
from . import course_embeddings, flops, hub, weights
from .cascade import BY_LAYER, HELD, IN_TURN, DeepFloyd, Place, SecondStage, Spot, ThirdStage
from .course_embeddings import CourseEmbeddings
from .disk import return_freed_memory
from .machine import GB, Machine, disk, placement, present, text_device, to_read
from .text import CLEAN_CAPTION, FORM, Embeddings, encode

PATIENCE = 12 * 3600  # seconds; a CPU that needs longer is refused
TEXT = ("text_encoder", "tokenizer")
OFFLOADING = {
    HELD: "read once",
    IN_TURN: "read whole for each turn",
    BY_LAYER: "read layer by layer at every forward",
}
ANSWER = {"stage_1": 6 * 64**2 * 4, "stage_2": 6 * 256**2 * 4, "stage_3": ThirdStage.steps * 8 * 256**2 * 4}  # bytes


@dataclass
class Plan:
    """lines: what to print. refusals: why it cannot work, one line each. The rest is input for `prepare`.

    missing: prompts without an embedding. text: the device of T5. spots: where the stages run. fetching: what to fetch.
    """

    name: str
    own: Path | None
    work: Workload
    machine: Machine
    lines: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    text: torch.device | None = None
    spots: dict[str, Spot] | None = None
    fetching: list[hub.Listing] = field(default_factory=list)

    def say(self, term: str, text: str) -> None:
        self.lines.append(f"{self.name}: {term:8} {text}")

    def refuse(self, why: str) -> None:
        self.refusals.append(f"{self.name}: {why}")


def doctor(name: str, own: Path | None, dry_run: DryRun) -> tuple[list[str], list[str]]:
    """Returns the lines that a run would print first, and all reasons why it would not start. Fetches and encodes
    nothing."""
    plan = _planned(name, own, dry_run)
    return plan.lines, plan.refusals


def prepare(name: str, own: Path | None, dry_run: DryRun, tell: Callable[[str], None]) -> None:
    """Reports the plan, fetches what is missing, and encodes the prompts that have no embedding. Raises ModelError."""
    plan = _planned(name, own, dry_run)
    for line in plan.lines:
        tell(line)
    if plan.refusals:
        raise ModelError(plan.refusals[0])
    for found in plan.fetching:
        tell(f"{name}: fetching  {found.repository.id}")
        hub.fetch(name, found)
        weights.pin(found.repository.id, found.commit)
    here = weights.stages(name, own)
    for stage, parts in _parts(plan).items():
        if why := weights.missing(here[stage], parts) or weights.incomplete(here[stage], parts):
            raise ModelError(f"{name}: {here[stage]}/{why}; remove the file and run the same command again")
    if plan.missing:
        assert plan.text
        for prompt in plan.missing:
            tell(f"{name}: encoding  “{prompt}”")
        layers = Layers(name, tell)
        encode(
            plan.missing, _embeddings(name, own), here["stage_1"], _variant(here, "stage_1"), plan.text, layers.passed
        )  # fmt: skip


class Layers:
    """Reports the prompts' progress through the layers of T5 at intervals."""

    def __init__(self, name: str, tell: Callable[[str], None]) -> None:
        self.name, self.tell = name, tell
        self.began = self.last_shown = time.monotonic()

    def passed(self, layer: int, layers: int) -> None:
        now = time.monotonic()
        if layer > 1 and now - self.last_shown >= 10:
            left = (now - self.began) / (layer - 1) * (layers - layer + 1)
            self.tell(f"{self.name}: encoding  layer {layer} of {layers}, about {_span(left)} left")
            self.last_shown = now


def load(name: str, own: Path | None) -> DeepFloyd:
    """Loads the prepared cascade. Raises ModelError."""
    here = weights.stages(name, own)
    if "stage_1" not in here:
        raise ModelError(f"{name}: stage 1 is missing; `report doctor --model {name}` shows what to fetch")
    machine, sizes = present(), {stage: size for stage, size in _sizes(name, here).items() if stage in here}
    spots = placement(machine, sizes)
    while isinstance(spots, str) and len(sizes) > 1:  # a last stage may be present without being needed
        sizes.popitem()
        spots = placement(machine, sizes)
    if isinstance(spots, str):
        raise ModelError(f"{name}: {spots}; `report doctor --model {name}` shows what is needed")
    kept: CourseEmbeddings | Embeddings
    if file := course_embeddings.embeddings_file():
        kept = CourseEmbeddings(file, _width(here))
        text = kept.called
    else:
        kept = _embeddings(name, own)
        text = f"T5 in {FORM}, clean_caption={CLEAN_CAPTION}"
    settings = {**_origin(name, own, here), "text encoder": text}
    settings |= {"stage 2 samples": f"{SecondStage.steps} steps, guidance {SecondStage.gamma:g}, "
                 f"noise level {SecondStage.level}"}  # fmt: skip
    stages = {stage: (folder, _variant(here, stage)) for stage, folder in here.items() if stage in spots}
    return DeepFloyd(name, stages, Place(spots), kept.read, weights.digest(name, own), settings)


def _planned(name: str, own: Path | None, dry_run: DryRun) -> Plan:
    if own is not None:
        weights.check(name, own)
    return_freed_memory()  # before the dry run allocates
    work = dry_run(SecondStage.steps, SecondStage.gamma != 1)
    plan = Plan(name, own, work, present(weights.largest(weights.stages(name, own))))
    _plan_text(plan)
    _plan_memory(plan)
    _plan_time(plan)
    _plan_files(plan)  # last, so that nobody accepts a licence for a machine that is too small
    return plan


def _plan_text(plan: Plan) -> None:
    name, own, work = plan.name, plan.own, plan.work
    if file := course_embeddings.embeddings_file():
        lacks = CourseEmbeddings(file, _width(weights.stages(name, own))).missing(work.prompts)
        plan.say("prompts", f"{len(work.prompts)}, their embeddings from {file}")
        if lacks:
            named = ", ".join(f"“{prompt}”" for prompt in lacks)
            plan.refuse(f"{file} lacks {named}; add them, or unset {course_embeddings.VARIABLE}: T5 then encodes all")
        return
    plan.missing = _embeddings(name, own).missing(work.prompts)
    if not plan.missing:
        plan.say("prompts", f"{len(work.prompts)}, all encoded already")
        return
    size = _text_size(plan)
    found = text_device(plan.machine, size)
    some = f"{len(plan.missing)} of {len(work.prompts)} to encode"
    if isinstance(found, str):
        plan.refuse(f"{found}; close other programs")
        plan.say("prompts", some)
    else:
        plan.text = found
        where = "the GPU" if found.type == "cuda" else "the processor"
        plan.say("prompts", f"{some}, by T5 in {FORM} on {where}, layer by layer: {size / GB:.1f} GB are read once")


def _plan_files(plan: Plan) -> None:
    """Checks what is present, damaged or to be fetched, and whether the disk has room."""
    here, origin = weights.stages(plan.name, plan.own), weights.repositories(plan.name)
    for stage, parts in _parts(plan).items():
        source = "a local folder" if plan.own else f"{origin[stage].id} at {(origin[stage].commit or 'main')[:12]}"
        lacks = weights.missing(here[stage], parts) if stage in here else f"{stage}/ is missing"
        if lacks is None:
            plan.say(stage, f"{source}, present" + (", in fp16" if _variant(here, stage) else ""))
            if incomplete := weights.incomplete(here[stage], parts):
                plan.refuse(f"{here[stage]}/{incomplete}; remove the file and fetch it again")
        elif plan.own:
            plan.say(stage, f"{source}, incomplete")
            plan.refuse(f"{plan.own}: {lacks} ({stage}); save {origin[stage].id} there with diffusers")
        else:
            plan.say(stage, f"{source}, to be fetched")
            try:
                plan.fetching.append(hub.listing(plan.name, origin[stage], parts))
            except ModelError as error:
                plan.refusals.append(str(error))
    size = sum(sum(found.sizes.values()) for found in plan.fetching)
    answers = sum(ANSWER[f"stage_{stage}"] * images for stage, images in plan.work.calls)
    plan.say("disk", f"at most {answers / GB:.1f} GB of cached outputs in .report/ until their section is finished")
    if size:
        cache = Path(constants.HF_HUB_CACHE)
        free = disk(cache)
        plan.say("disk", f"{size / GB:.1f} GB to be fetched, {free / GB:.1f} GB free in {cache}")
        if size > free:
            plan.refuse(f"the disk of {cache} is too small: {size / GB:.1f} GB are needed and {free / GB:.1f} are free")


def _plan_memory(plan: Plan) -> None:
    machine, sizes = plan.machine, _sizes(plan.name, weights.stages(plan.name, plan.own))
    sizes = {stage: size for stage, size in sizes.items() if stage in _parts(plan)}
    each = " + ".join(f"{size / GB:.1f}" for size in sizes.values())
    gpu = f"{machine.gpu}, {machine.vram / GB:.1f} GB free" if machine.gpu else "no GPU"
    plan.say("memory", f"{each} GB of weights in float16; {gpu}, RAM {machine.ram / GB:.1f} GB free")
    found = placement(machine, sizes)
    if isinstance(found, str):
        plan.refuse(f"{found}; close other programs, or try MODEL=deepfloyd-m")
        return
    plan.spots = found
    for stage, spot in found.items():
        where = "on the GPU, in float16" if spot.device.type == "cuda" else "on the processor, in float32"
        plan.say(stage, f"{where}, {OFFLOADING[spot.offloading]}, {spot.chunk} images a forward at most")


def _plan_time(plan: Plan) -> None:
    work, machine = plan.work, plan.machine
    here, origin = weights.stages(plan.name, plan.own), weights.repositories(plan.name)

    def cost(stage: str, side: int | None = None) -> float:
        folder = here.get(stage)
        if folder is None or weights.missing(folder, ("unet",)):
            return origin[stage].flop
        return flops.of_unet(json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8")), side)[1]

    flop = work.first * cost("stage_1") + (work.second * cost("stage_2") if work.second else 0)
    if work.third:  # guided: two evaluations a step
        flop += work.third * 2 * ThirdStage.steps * cost("stage_3", 256)
    seconds = flop / machine.rate
    plan.say("work", f"{work}: {flop / 1e15:.3g} PFLOP")
    rate = f"the {machine.rate / 1e12:.3g} TFLOP/s of a matrix product measured just now"
    plan.say("time", f"{_span(seconds)} or more, at {rate}")
    if plan.spots:
        sizes = _sizes(plan.name, here)
        size = to_read(work.calls, {stage: sizes[stage] for stage in plan.spots}, plan.spots)
        size += _text_size(plan) if plan.missing else 0
        cost_of_it = "the duration is known once they are present"
        if machine.reading:
            rate = f"the {machine.reading / GB:.2f} GB/s of this disk measured just now"
            cost_of_it = f"{_span(size / machine.reading)} at {rate}"
            seconds += size / machine.reading
        plan.say("reading", f"{size / GB:,.0f} GB of weights in all: {cost_of_it}")
    if not machine.gpu and seconds > PATIENCE:
        plan.refuse(
            f"no GPU, and this CPU would take {seconds / 3600:.0f} hours or more; {PATIENCE // 3600} hours are "
            "the limit; use a CUDA GPU, draw fewer sections, or use deepfloyd-m"
        )


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 3600:.1f} hours" if seconds > 3600 else f"{seconds / 60:.1f} minutes"


def _parts(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Returns the stages that the workload needs, with the parts of each to load."""
    stages = dict(weights.STAGES)
    if not plan.missing:
        stages["stage_1"] = tuple(part for part in stages["stage_1"] if part not in TEXT)
    asked = {"stage_1": True, "stage_2": plan.work.second > 0, "stage_3": plan.work.third > 0}
    return {stage: parts for stage, parts in stages.items() if asked[stage]}


def _sizes(name: str, here: dict[str, Path]) -> dict[str, float]:
    """Returns the bytes of each stage in float16, without T5; from the published numbers if a stage is absent."""
    sizes = {}
    for stage, repository in weights.repositories(name).items():
        parts = [part for part in weights.STAGES[stage] if (stage, part) != ("stage_1", "text_encoder")]
        parts = [part for part in parts if part in weights.HAVE_WEIGHTS]
        sizes[stage] = 2 * (weights.parameters(here.get(stage), parts) or repository.parameters)
    return sizes


def _text_size(plan: Plan) -> float:
    """Returns the bytes of T5 in float16."""
    here = weights.stages(plan.name, plan.own)
    return 2 * (weights.parameters(here.get("stage_1"), ("text_encoder",)) or weights.T5_PARAMETERS)


def _width(here: dict[str, Path]) -> int | None:
    """Returns the embedding width that stage 1 takes; None if it is absent."""
    config = here.get("stage_1", Path()) / "unet" / "config.json"
    return json.loads(config.read_text(encoding="utf-8"))["encoder_hid_dim"] if config.is_file() else None


def _origin(name: str, own: Path | None, here: dict[str, Path]) -> dict[str, str]:
    """Returns each stage's origin for the records: repository, commit and variant, without local paths."""
    found = {}
    for stage, repository in weights.repositories(name).items():
        if stage in here:
            place = "a local folder" if own else f"{repository.id} at {repository.commit}"
            found[stage.replace("_", " ")] = f"{place}, {_variant(here, stage) or 'full'} files"
    return found


def _embeddings(name: str, own: Path | None) -> Embeddings:
    return Embeddings(weights.CACHE / "embeddings", weights.encoder(name, own))


def _variant(here: dict[str, Path], stage: str) -> str | None:
    return weights.variant(weights.files(here[stage]), weights.STAGES[stage])
