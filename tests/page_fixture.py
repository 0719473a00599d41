"""A tiny report in a temporary folder: records with small pictures, prose, and this repository's templates."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from generators.records.record import seal

REPO = Path(__file__).resolve().parent.parent
TIMESTEPS = list(range(990, -1, -30))


def folder(root: Path) -> Path:
    """An empty report: templates and a source file to quote."""
    (root / "report" / "writeup").mkdir(parents=True)
    (root / "generators" / "sections").mkdir(parents=True)
    shutil.copy(REPO / "CITATION.cff", root)
    shutil.copy(REPO / "report" / "report.toml", root / "report")
    (root / "templates").symlink_to(REPO / "templates")
    (root / "generators" / "schedule.py").write_text(
        "STRIDE = 30\n\n\nclass Schedule:\n    def forward(self, x0, t):\n        return x0 < t  # noised\n"
    )
    return root


def picture(seed: int = 0, size: int = 64) -> Image.Image:
    """A few flat colours, with a little noise where that is quickly encoded; the same for the same seed."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 255, (4, 4, 3), np.uint8).repeat(size // 4, 0).repeat(size // 4, 1)
    return Image.fromarray(
        (blocks // 2 + rng.integers(0, 40 if size <= 256 else 1, blocks.shape, np.uint8)).astype(np.uint8)
    )


def panel(label: str, seed: int = 0, size: int = 64, **fields: Any) -> dict[str, Any]:
    """A panel as a record has it, its picture under "image", and the fields of its trajectory.

    later: what the second stage visited, a list of timesteps for each run of it.
    """
    return {
        "image": picture(seed, size),
        "row": "",
        "label": label,
        "alt": f"Blocks of colour, {label}",
        "case": {},
        "found": {},
        "inputs": [],
        "seeds": [42],
        "prompts": ["a high quality photo", ""],
        "gamma": 7.0,
        "timesteps": TIMESTEPS,
        "evaluations": 68,
        "seconds": 1.5,
        "later": [],
        "origin": "sample",
        **fields,
    }


def section(
    root: Path, number: str, figures: dict[str, list[dict[str, Any]]], model: str = "pocket", **fields: Any
) -> Path:
    """Writes a section's record and its panels; returns the record's path. figures: name -> panels."""
    place = root / ".report" / model / number
    place.mkdir(parents=True, exist_ok=True)
    drawn = []
    walks: list[dict[str, Any]] = []  # panels with equal trajectories share them, as both views of an anagram do
    for name, panels in figures.items():
        kept = []
        for index, described in enumerate(panels, 1):
            values = dict(described)
            image, own = values.pop("image"), trajectories(values)
            walks += [walk for walk in own if walk not in walks]
            values["trajectories"] = [walks.index(walk) for walk in own]
            file = f"{name}-{index:02d}.webp"
            image.save(place / file, lossless=True)
            pixels = hashlib.sha256(image.tobytes()).hexdigest()
            kept.append({"file": file, "width": image.width, "height": image.height, "pixels": pixels, **values})
        drawn.append({"name": name, "caption": fields.get("caption", f"The figure {name}."), "panels": kept})
    record = {
        "format": 1,
        "id": number,
        "title": fields.get("title", f"The section {number}"),
        "source": f"generators/sections/part_{number.replace('.', '_')}.py",
        "model": {"name": model, "digest": "ab" * 32, "description": f"{model}, a model for tests"},
        "dtype": "float32",
        "device": "cpu",
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
        "depends": "0" * 64,
        "seconds": 12.3,
        "network_calls": 40,
        "evaluations": 1234,
        "figures": drawn,
        "trajectories": walks,
    }
    source = root / str(record["source"])
    source.parent.mkdir(parents=True, exist_ok=True)
    source.touch()
    path = place / "record.json"
    write_record(path, record)
    return path


def trajectories(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Takes the fields of the trajectories out of a described panel and returns those, as a record has them."""
    gamma = values.pop("gamma")
    own = {name: values.pop(name) for name in ("prompts", "timesteps", "evaluations", "seconds")}
    first = {
        "stage": 1,
        "seed": next(iter(values["seeds"]), None),
        "gamma": gamma if isinstance(gamma, list) else [] if gamma is None else [gamma],
        **own,
    }
    later = [{**first, "stage": 2, "timesteps": timesteps} for timesteps in values.pop("later")]
    return [walk for walk in (first, *later) if walk["timesteps"]]


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Seal a record and write it."""
    path.write_text(json.dumps({**record, "seal": seal(record)}, indent=1, sort_keys=True))


def prose(root: Path, name: str, text: str) -> None:
    (root / "report" / "writeup" / f"{name}.md").write_text(text)


def blurred(**fields: Any) -> list[dict[str, Any]]:
    """Four panels in two rows: noisy and blurred at two timesteps, with PSNR and SSIM."""
    return [
        panel(
            f"$t = {t}$",
            seed=t + len(show),
            row=show,
            case={"t": t, "show": show},
            found={"psnr": 20 + t / 1000, "ssim": 0.7123} if show == "blurred" else {"psnr": 12.34},
            alt=f"The tower, {show}, at t = {t}",
            gamma=None,
            **fields,
        )
        for show in ("noisy", "blurred")
        for t in (250, 500)
    ]


def samples(gamma: float | None) -> list[dict[str, Any]]:
    """Three samples, of seeds 42, 43, 44."""
    return [panel(f"sample {k}", 50 + k, seeds=[42 + k], gamma=gamma) for k in range(3)]


def inpainted() -> list[dict[str, Any]]:
    """An image, a mask with a hole at rows 10-19, columns 20-39, and the result."""
    mask = Image.new("RGB", (64, 64))
    mask.paste((255, 255, 255), (20, 10, 40, 20))
    return [
        panel("original", 1, row="the tower"),
        {**panel("mask", row="the tower"), "image": mask},
        panel("inpainted", 2, row="the tower"),
    ]


def two_ways(*rows: str, view: Callable[[Image.Image], Image.Image] = ImageOps.flip) -> list[dict[str, Any]]:
    """Two samples with two readings; the second row shows them through the view, turned over unless given."""
    case = {"one": "an old man", "other": "a campfire"}
    first = [panel(f"sample {k}", 60 + k, row=rows[0], case={**case, "show": "one"}) for k in range(2)]
    turned = {**case, "show": "other"}
    return first + [{**each, "row": rows[1], "image": view(each["image"]), "case": turned} for each in first]


CONTROLS = {  # figure: the control that its prose asks for
    "0-stages": "loupe",
    "1.2-blur": "wipe: noisy, blurred",
    "1.4-trajectory": "slide: $t = 690$, $t = 240$",
    "1.6-samples": "wipe: 1.5-samples",
    "1.7.2-inpaint": "wipe: original, inpainted, mask",
    "1.8-turning": "flip: one, other",
    "1.9-distant": "distance: one, other",
}


def report(root: Path) -> Path:
    """A report with a bit of everything: grids, three sizes, every control, formulas, code, references, an opening."""
    folder(root)
    stages = [panel(f"{size} pixels", seed, size, row=row) for seed, row in enumerate("ab") for size in (64, 256, 1024)]
    section(root, "0", {"stages": stages})
    section(root, "1.1", {"large": [panel("1024 pixels", size=1024)]})
    section(root, "1.2", {"blur": blurred()})
    section(root, "1.4", {"trajectory": [panel(f"$t = {t}$", t) for t in (690, 540, 390, 240, 90)]})
    section(root, "1.5", {"samples": samples(None)})
    section(root, "1.6", {"samples": samples(7.0)})
    starts = (1, 3, 5, 7, 10, 20, 30)
    levels = [panel(f"$i = {i}$", i, row=row) for row in ("the Campanile", "a fox") for i in starts]
    section(root, "1.7", {"sdedit": levels})
    section(root, "1.7.2", {"inpaint": inpainted(), "many": [panel(f"view {i}", i) for i in range(9)]})
    section(root, "1.8", {"turning": two_ways("upright", "flipped")})
    section(root, "1.9", {"distant": two_ways("near", "afar")})
    for name, wish in CONTROLS.items():
        number = name.split("-")[0].replace(".", "_")
        more = "\n/// fig | 1.7.2-many\n///\n" if name == "1.7.2-inpaint" else ""
        prose(root, f"part_{number}", f"/// fig | {name} | {wish}\n///\n{more}")
    prose(
        root,
        "intro",
        "/// logo\n1.8-turning[row=upright,label=sample 0] | flip: one, other\n///\n\n"
        "/// lead\n0-stages[row=a,width=1024]\n1.8-turning[row=upright,label=sample 0] | flip: one, other\n"
        "1.9-distant[row=near,label=sample 1] | distance: one, other\n///\n\nOne *short* introduction.\n\n"
        "/// contents\n1.4 | 1.4-trajectory[label=$t = 90$]\n1.8 | 1.8-turning[row=upright,label=sample 0]\n///\n",
    )
    prose(
        root,
        "part_1_2",
        "The update is\n$$x_{t'} = \\frac{\\sqrt{\\bar\\alpha_{t'}}\\,\\beta_t}{1-\\bar\\alpha_t}\\,x_0$$\n"
        "and @fig:1.2-blur of @sec:1.2 reaches @val:1.2-blur[t=250,show=blurred].psnr.\n\n"
        "/// fig | 1.2-blur | wipe: noisy, blurred | values: psnr, ssim\nWith a note on $x_0$.\n///\n\n"
        "/// code | generators/schedule.py::Schedule.forward\n///\n\n"
        "/// code | generators/schedule.py::STRIDE | folded\n///\n\n"
        "### A heading\n\n| a | b |\n|:--|--:|\n| 1 | 2 |\n\n```python\nfor t in steps:\n    x = step(x, t)\n```\n",
    )
    return root
