"""1.7.2: inpainting. The loop of 1.4 with one more line: after each step, the known pixels are restored."""

from ..editing import INPAINTING, inpaint
from ..figures import Figure, Section, each
from ..prompts import PHOTO
from ..settings import MINE

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
            cases=each(prompt=PHOTO, image=tuple(MINE.holes), show=INPAINTING),
            draw=inpaint,
            called={"image": MINE.called},
            finds=("ratio",),
        )
    ],
)
