"""What drawing with a cascade takes, what there is, and what will be done, before the first byte is fetched.

`doctor` prints it; `prepare` does it, but for the drawing; `load` gives the model. What cannot work is refused in one
line each: weights that are missing or half there, no token, no licence, no network, a wrong commit, a full disk, too
little memory, or a processor that would take days.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from huggingface_hub import constants

from .. import ModelError, Rehearse, Work
from . import flops, hub, weights
from .cascade import RESIDENT, DeepFloyd, Place, SecondStage
from .machine import GB, Machine, disk, placement, present, text_form
from .text import CLEAN_CAPTION, Embeddings, encode

PATIENCE = 12 * 3600  # seconds: a processor that needs longer than this is refused
TEXT = ("text_encoder", "tokenizer")


@dataclass
class Plan:
    """lines: what to print. refusals: why it cannot work, one line each. The rest is what `prepare` goes by.

    missing: prompts without embedding. text: the form of T5, its device and its bytes. fetching: what to fetch.
    """

    name: str
    own: Path | None
    work: Work
    machine: Machine
    lines: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    text: tuple[str, str, float] | None = None
    fetching: list[hub.Listing] = field(default_factory=list)

    def say(self, term: str, text: str) -> None:
        self.lines.append(f"{self.name}: {term:8} {text}")

    def refuse(self, why: str) -> None:
        self.refusals.append(f"{self.name}: {why}")


def doctor(name: str, own: Path | None, rehearse: Rehearse) -> tuple[list[str], list[str]]:
    """What a run would print first, and all the reasons for which it would not begin. Fetches and encodes nothing."""
    plan = _planned(name, own, rehearse)
    return plan.lines, plan.refusals


def prepare(name: str, own: Path | None, rehearse: Rehearse, tell: Callable[[str], None]) -> None:
    """Tell the plan; then fetch what is missing, and encode the prompts that are not encoded yet. Raises ModelError."""
    plan = _planned(name, own, rehearse)
    for line in plan.lines:
        tell(line)
    if plan.refusals:
        raise ModelError(plan.refusals[0])
    for found in plan.fetching:
        tell(f"{name}: fetching  {found.repository.id}")
        hub.fetch(name, found)
        weights.remember(found.repository.id, found.commit)
    here = weights.stages(name, own)
    for stage, parts in _parts(plan).items():
        if why := weights.missing(here[stage], parts) or weights.torn(here[stage], parts):
            raise ModelError(f"{name}: {here[stage]}/{why}; remove the file, and run the same command again")
    if plan.missing:
        assert plan.text
        form, device, _ = plan.text
        encode(
            plan.missing, _embeddings(name, own, form), here["stage_1"], _variant(here, "stage_1"),
            torch.device(device), lambda prompt: tell(f"{name}: encoding  “{prompt}”"),
        )  # fmt: skip
        weights.remember_form(name, own, form)


def load(name: str, own: Path | None) -> DeepFloyd:
    """The cascade, prepared before, ready to draw. Raises ModelError."""
    here = weights.stages(name, own)
    if "stage_1" not in here:
        raise ModelError(f"{name}: stage 1 is not here; `report doctor --model {name}` says what is missing")
    machine = present()
    device, dtype = ("cuda", torch.float16) if machine.gpu else ("cpu", torch.float32)
    sizes = {stage: size for stage, size in _sizes(name, here).items() if stage in here}
    how = placement(machine, sizes)
    while how is None and len(sizes) > 1:  # the last stage may be here and not be asked for
        sizes.popitem()
        how = placement(machine, sizes)
    if how is None:
        raise ModelError(f"{name}: not enough memory; `report doctor --model {name}` says what is needed")
    form = weights.form(name, own)
    if form is None:
        raise ModelError(f"{name}: no prompt has been encoded yet; `report all --model {name}` does it first")
    kept = _embeddings(name, own, form)
    settings = {**_origin(name, own, here), "text encoder": f"T5 in {form}, clean_caption={CLEAN_CAPTION}"}
    settings |= {"stage 2 samples": f"{SecondStage.steps} steps, guidance {SecondStage.gamma:g}, "
                 f"noise level {SecondStage.level}"}  # fmt: skip
    settings |= {"memory": how} if how != RESIDENT else {}
    stages = {stage: (folder, _variant(here, stage)) for stage, folder in here.items()}
    return DeepFloyd(name, stages, Place(torch.device(device), dtype, how), kept, weights.digest(name, own), settings)


def _planned(name: str, own: Path | None, rehearse: Rehearse) -> Plan:
    if own is not None:
        weights.check(name, own)
    work = rehearse(SecondStage.steps, SecondStage.gamma != 1)
    plan = Plan(name, own, work, present())
    _plan_text(plan)
    _plan_memory(plan)
    _plan_time(plan)
    _plan_files(plan)  # last: nobody need accept a licence for a machine that is too small
    return plan


def _plan_text(plan: Plan) -> None:
    name, own, work = plan.name, plan.own, plan.work
    form = weights.form(name, own)
    plan.missing = list(work.prompts) if form is None else _embeddings(name, own, form).missing(work.prompts)
    if not plan.missing:
        plan.say("prompts", f"{len(work.prompts)}, all encoded before")
        return
    parameters = _text_parameters(plan)
    plan.text = text_form(plan.machine, parameters, form)
    some = f"{len(plan.missing)} of {len(work.prompts)} to encode"
    if plan.text is None:
        least = f"{(1.7 if plan.machine.int8 else 2.0) * parameters * 1.05 / GB:.1f} GB"
        plan.refuse(f"not enough memory for the text encoder, which takes {least} on a GPU or in RAM; free some")
        plan.say("prompts", some)
    else:
        used, device, size = plan.text
        where = "the GPU" if device == "cuda" else "the processor"
        plan.say("prompts", f"{some}, by T5 in {used} on {where}, {size / GB:.1f} GB, gone before stage 1 comes")


def _plan_files(plan: Plan) -> None:
    """What is here, what is damaged, what is to be fetched, and whether there is room for it."""
    here, origin = weights.stages(plan.name, plan.own), weights.repositories(plan.name)
    for stage, parts in _parts(plan).items():
        source = "a local folder" if plan.own else f"{origin[stage].id} at {(origin[stage].commit or 'main')[:12]}"
        lacks = weights.missing(here[stage], parts) if stage in here else f"{stage}/ is missing"
        if lacks is None:
            plan.say(stage, f"{source}, here" + (", in fp16" if _variant(here, stage) else ""))
            if torn := weights.torn(here[stage], parts):
                plan.refuse(f"{here[stage]}/{torn}; remove the file, and fetch it again")
        elif plan.own:
            plan.say(stage, f"{source}, not whole")
            plan.refuse(f"{plan.own}: {lacks} ({stage}); save {origin[stage].id} there with diffusers")
        else:
            plan.say(stage, f"{source}, to be fetched")
            try:
                plan.fetching.append(hub.listing(plan.name, origin[stage], parts))
            except ModelError as error:
                plan.refusals.append(str(error))
    size = sum(sum(found.sizes.values()) for found in plan.fetching)
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
    how = placement(machine, sizes)
    plan.say("memory", f"{each} GB of weights in float16; {gpu}, RAM {machine.ram / GB:.1f} GB free")
    if how is None:
        plan.refuse(f"not enough memory: {each} GB of weights, {gpu}, {machine.ram / GB:.1f} GB of RAM; "
                    "try MODEL=deepfloyd-m, or close other programs")  # fmt: skip
    else:
        plan.say("stages", how if machine.gpu else "on the processor, in float32")


def _plan_time(plan: Plan) -> None:
    work, machine = plan.work, plan.machine
    here, origin = weights.stages(plan.name, plan.own), weights.repositories(plan.name)

    def cost(stage: str) -> float:
        folder = here.get(stage)
        if folder is None or weights.missing(folder, ("unet",)):
            return origin[stage].flop
        return flops.of_unet(json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8")))[1]

    first, second = work.first * cost("stage_1"), work.second and work.second * cost("stage_2")
    seconds = (first + second) / machine.rate
    asked = f"{work.first:,} evaluations of stage 1, {work.second:,} of stage 2, {work.third} images of stage 3"
    plan.say("work", f"{asked}: {(first + second) / 1e15:.3g} PFLOP without stage 3")
    least = f"{seconds / 3600:.1f} hours" if seconds > 3600 else f"{seconds / 60:.1f} minutes"
    plan.say("time", f"{least} or more, at the {machine.rate / 1e12:.3g} TFLOP/s of a matrix product here just now")
    if not machine.gpu and seconds > PATIENCE:
        plan.refuse(
            f"no GPU, and this processor would take {seconds / 3600:.0f} hours or more, where {PATIENCE // 3600} are "
            "the limit; use a CUDA GPU, draw fewer sections, or draw by deepfloyd-m"
        )


def _parts(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The stages that the work asks for, and the parts of each that will be loaded."""
    stages = dict(weights.STAGES)
    if not plan.missing:
        stages["stage_1"] = tuple(part for part in stages["stage_1"] if part not in TEXT)
    asked = {"stage_1": True, "stage_2": plan.work.second > 0, "stage_3": plan.work.third > 0}
    return {stage: parts for stage, parts in stages.items() if asked[stage]}


def _sizes(name: str, here: dict[str, Path]) -> dict[str, float]:
    """The bytes of each stage in float16, without T5; by the published numbers where a stage is not here."""
    sizes = {}
    for stage, repository in weights.repositories(name).items():
        parts = [part for part in weights.STAGES[stage] if (stage, part) != ("stage_1", "text_encoder")]
        parts = [part for part in parts if part in weights.HAVE_WEIGHTS]
        sizes[stage] = 2 * (weights.parameters(here.get(stage), parts) or repository.parameters)
    return sizes


def _text_parameters(plan: Plan) -> float:
    here = weights.stages(plan.name, plan.own)
    return weights.parameters(here.get("stage_1"), ("text_encoder",)) or weights.T5_PARAMETERS


def _origin(name: str, own: Path | None, here: dict[str, Path]) -> dict[str, str]:
    """Where each stage is from, for the records: repository, commit and variant, but no place on this machine."""
    found = {}
    for stage, repository in weights.repositories(name).items():
        if stage in here:
            place = "a local folder" if own else f"{repository.id} at {repository.commit}"
            found[stage.replace("_", " ")] = f"{place}, {_variant(here, stage) or 'full'} files"
    return found


def _embeddings(name: str, own: Path | None, form: str) -> Embeddings:
    return Embeddings(weights.CACHE / "embeddings", weights.encoder(name, own), form)


def _variant(here: dict[str, Path], stage: str) -> str | None:
    return weights.variant(weights.files(here[stage]), weights.STAGES[stage])
