"""1.7.1: SDEdit of images from the web and of drawings by hand."""

from ..editing import edit, strips
from ..figures import Figure, Section, each, sentence
from ..prompts import PHOTO
from ..settings import MINE

SECTION = Section(
    "1.7.1",
    "Editing hand-drawn and web images",
    [
        Figure(
            "sdedit",
            caption=f"{sentence(MINE.hand_drawn.described)}, guided by “{{prompt}}”.",
            row="{image}",
            label="{show}",
            alt={
                "original": "The {image} before any noise",
                "*": "The {image}, noised to {show} and denoised with the prompt “{prompt}”",
            },
            cases=strips(each(prompt=PHOTO, image=MINE.hand_drawn.images)),
            draw=edit,
            called={"image": MINE.called},
        )
    ],
)
