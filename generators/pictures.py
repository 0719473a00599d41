"""Figures outside the report, for the verbs that draw single pictures. The seeds are those of sections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from .diffusion.schedule import strided
from .diffusion.views import named
from .editing import INPAINTING, edit, inpaint, strips
from .figures import Figure, Section, each
from .lab import Lab
from .readings import HYBRIDS, SIDE, Readings, anagram, hybrid
from .records.errors import ViewError

AS_IT_IS = "identity"  # the view of an anagram's first reading


def samples(prompt: str, count: int, stride: int, pixels: int = SIDE) -> Section:
    """Declares `count` samples of one prompt. pixels: per side, 64 or 256, here and below."""

    def draw(lab: Lab, prompt: str, stride: int, pixels: int, k: int) -> Tensor:
        x = lab.sample(lab.guided(prompt), k, strided(stride))
        return x if pixels == SIDE else lab.enlarge(x, prompt, k)

    return alone(
        "guided",
        caption="“{prompt}”",
        label="sample {k}",
        alt="Sample {k} of “{prompt}”",
        cases=each(prompt=prompt, stride=stride, pixels=pixels, k=tuple(range(count))),
        draw=draw,
    )


def anagrams(prompts: Sequence[str], views: Sequence[str], count: int, stride: int, pixels: int = SIDE) -> Section:
    """Declares `count` anagrams, each shown through every view: the first prompt upright, the others through `views`.

    Raises ViewError for an unknown view or one that is named twice, and ValueError unless each prompt after the first
    has one view.
    """
    if len(prompts) < 2 or len(views) != len(prompts) - 1:
        raise ValueError(f"{len(prompts)} prompts, {len(views)} views: each prompt after the first needs one view")
    read = dict(zip((AS_IT_IS, *views), prompts, strict=True))
    if len(read) < len(prompts):
        raise ViewError(
            f"two prompts have the same view ({', '.join((AS_IT_IS, *views))}); give each a view of its own"
        )
    drawn = anagram(**{name: (prompt, named(name)) for name, prompt in read.items()})
    return _readings("-".join(views), read, drawn, count, stride, pixels)


def hybrids(by: str, first: str, second: str, count: int, stride: int, pixels: int = SIDE) -> Section:
    """Declares `count` hybrids, a key of HYBRIDS: `first` is read through the first part's filter, `second` without."""
    read = dict(zip(HYBRIDS[by].looks, (first, second), strict=True))
    drawn = hybrid(HYBRIDS[by], first, second)
    return _readings(by, dict(reversed(read.items())), drawn, count, stride, pixels)


def edits(path: Path, prompt: str) -> Section:
    """Declares SDEdit of an image file with a prompt, from the six noise levels of 1.7, and the original."""
    return alone(
        "sdedit",
        caption="SDEdit of {image}, guided by “{prompt}”",
        label="{show}",
        alt={"original": "{image} before any noise", "*": "{image}, noised to {show} and denoised with “{prompt}”"},
        cases=strips(each(prompt=prompt, image=path.name)),
        draw=lambda lab, image, **case: edit(lab, image=path, **case),
    )


def inpaintings(path: Path, mask: Path, prompt: str) -> Section:
    """Declares the inpainting of an image file where a mask file is white, once in a single pass and once with
    resampling, and what it begins with."""
    return alone(
        "inpaint",
        caption="{image} with new content inside {mask}, guided by “{prompt}”",
        label="{show}",
        alt={
            "original": "{image} before it is changed",
            "mask": "The mask {mask}: white where new content goes",
            "to be filled": "The part of {image} under the mask, which will be replaced",
            "inpainted": "{image} with the masked part replaced by “{prompt}” in a single pass",
            "resampled": "{image} with the masked part replaced by “{prompt}”, with resampling",
        },
        cases=each(prompt=prompt, image=path.name, mask=mask.name, show=INPAINTING),
        draw=lambda lab, prompt, show, **names: inpaint(lab, prompt, path, show, mask),
        finds=("ratio",),
    )


def alone(name: str, **declared: object) -> Section:
    """Declares a figure as a section, the unit of drawing."""
    return Section("0", name, [Figure(name, **declared)])  # type: ignore[arg-type]


def _readings(name: str, read: dict[str, str], drawn: Readings, count: int, stride: int, pixels: int) -> Section:
    """Declares pictures with several readings, one row for each. read: the prompt, by how it is shown."""
    described = "; ".join(f"{show}: “{prompt}”" for show, prompt in read.items())

    def draw(lab: Lab, show: str, k: int, stride: int, pixels: int, **texts: str) -> Tensor:
        return drawn.draw(lab, show, k, pixels, stride)

    return alone(
        "".join(letter if letter.isalnum() else "-" for letter in name).strip("-"),
        caption="{readings}",
        row="{show}",
        label="sample {k}",
        alt="Sample {k}, {show}: the prompt is “{prompt}”",
        cases=[
            {"readings": described, "prompt": prompt, "show": show, "stride": stride, "pixels": pixels, "k": k}
            for show, prompt in read.items()
            for k in range(count)
        ],
        draw=draw,
    )
