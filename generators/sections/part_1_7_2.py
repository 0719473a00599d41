"""1.7.2: inpainting. The loop of 1.4 with one more line: after each step, the known pixels are restored."""

from ..diffusion.masks import Hole
from ..diffusion.metrics import border_step
from ..diffusion.sampling import resampled
from ..diffusion.schedule import strided
from ..figures import Figure, Panel, Section, each
from ..prompts import PHOTO

HOLES = {  # where new content goes: first row, last row, first column, last column; the Campanile's is the course's
    "campanile": Hole(2, 19, 24, 41),
    "fox": Hole(20, 39, 18, 45),
    "building": Hole(12, 29, 17, 46),
}
JUMP, TIMES = 10, 8  # of RePaint: how many timesteps a jump goes back, and how often each stretch is walked


def hole(image):
    """The mask, (1, 64, 64): 1 where new content goes."""
    return HOLES[image].mask()


def inpainted(lab, x0, mask):
    return lab.inpaint(lab.guided(PHOTO), x0, mask)


def repainted(lab, x0, mask):
    return lab.inpaint(lab.guided(PHOTO), x0, mask, resampled(strided(), JUMP, TIMES))


def inpaint(lab, image, show):
    x0, mask = lab.image(image), hole(image).to(lab.model.device)
    if fill := {"inpainted": inpainted, "resampled": repainted}.get(show):
        x = fill(lab, x0, mask)
        step, own = (border_step(picture.clamp(-1, 1), mask) for picture in (x, x0))
        return Panel(x, {"ratio": step / own})
    return {"original": x0, "mask": (2 * mask - 1).expand_as(x0), "to be filled": mask * x0 + (1 - mask)}[show]


SECTION = Section(
    "1.7.2",
    "Inpainting",
    [
        Figure(
            "inpaint",
            caption="New content inside the mask (white), in a single pass and with RePaint’s resampling.",
            row="{image}",
            label="{show}",
            alt={
                "original": "The {image} before it is changed",
                "mask": "The mask of the {image}: white where new content goes",
                "to be filled": "The part of the {image} under the mask, which will be replaced",
                "inpainted": "The {image} with the masked part replaced by the model in a single pass",
                "resampled": "The {image} with the masked part replaced by the model, with resampling",
            },
            cases=each(
                image=("campanile", "fox", "building"),
                show=("original", "mask", "to be filled", "inpainted", "resampled"),
            ),
            draw=inpaint,
            finds=("ratio",),
        )
    ],
)
