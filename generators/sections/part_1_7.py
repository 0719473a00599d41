"""1.7: SDEdit. An image is noised and denoised; the more noise, the more it changes."""

from ..editing import edit, strips
from ..figures import Figure, Section, each
from ..prompts import PHOTO
from ..settings import MINE

SECTION = Section(
    "1.7",
    "Image-to-image translation",
    [
        Figure(
            "sdedit",
            caption=f"SDEdit of {MINE.edits.described}, guided by “{{prompt}}”.",
            row="{image}",
            label="{show}",
            alt={
                "original": "The {image} before any noise",
                "*": "The {image}, noised to {show} and denoised with the prompt “{prompt}”",
            },
            cases=strips(each(prompt=PHOTO, image=MINE.edits.images)),
            draw=edit,
            called={"image": MINE.called},
        )
    ],
)
