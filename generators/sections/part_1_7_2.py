"""1.7.2: inpainting. The loop of 1.4 with one more line: after each step, the known pixels are restored."""

import torch

from ..figures import Figure, Section, each
from ..prompts import PHOTO

HOLES = {  # image: (first row, last row, first column, last column) of the new content; the Campanile's is the course's
    "campanile": (2, 19, 24, 41),
    "fox": (20, 39, 18, 45),
    "building": (12, 29, 17, 46),
}


def hole(image):
    """The mask, (1, 64, 64): 1 where new content goes."""
    top, bottom, left, right = HOLES[image]
    mask = torch.zeros(1, 64, 64)
    mask[:, top : bottom + 1, left : right + 1] = 1
    return mask


def inpainted(lab, x0, mask):
    return lab.inpaint(lab.guided(PHOTO), x0, mask)


def inpaint(lab, image, show):
    x0, mask = lab.image(image), hole(image).to(lab.model.device)
    return {
        "original": lambda: x0,
        "mask": lambda: (2 * mask - 1).expand_as(x0),
        "to be filled": lambda: mask * x0 + (1 - mask),
        "inpainted": lambda: inpainted(lab, x0, mask),
    }[show]()


SECTION = Section(
    "1.7.2",
    "Inpainting",
    [
        Figure(
            "inpaint",
            caption="New content inside the mask (white), the image as it was outside.",
            row="{image}",
            label="{show}",
            alt={
                "original": "The {image} before it is changed",
                "mask": "The mask of the {image}: white where new content goes",
                "to be filled": "The part of the {image} under the mask, which will be replaced",
                "inpainted": "The {image} with the masked part replaced by the model",
            },
            cases=each(image=("campanile", "fox", "building"), show=("original", "mask", "to be filled", "inpainted")),
            draw=inpaint,
        )
    ],
)
