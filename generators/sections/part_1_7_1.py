"""1.7.1: SDEdit of a photograph from the web and of two felt-pen drawings."""

from ..editing import edit, strips
from ..figures import Figure, Section, each
from ..prompts import PHOTO

SECTION = Section(
    "1.7.1",
    "Editing hand-drawn and web images",
    [
        Figure(
            "sdedit",
            caption="A photograph from the web and two felt-pen drawings, guided by “{prompt}”.",
            row="{image}",
            label="{show}",
            alt={
                "original": "The {image} before any noise",
                "*": "The {image}, noised to {show} and denoised with the prompt “{prompt}”",
            },
            cases=strips(each(prompt=PHOTO, image=("pagoda", "sketch-house", "sketch-boat"))),
            draw=edit,
        )
    ],
)
