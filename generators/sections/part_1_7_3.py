"""1.7.3: SDEdit under a prompt other than "a high quality photo"."""

from ..editing import edit, strips
from ..figures import Figure, Section
from ..settings import MINE

SECTION = Section(
    "1.7.3",
    "Text-conditional image-to-image translation",
    [
        Figure(
            "sdedit",
            caption="SDEdit guided by a prompt: from the prompt on the left to the image on the right.",
            row="“{prompt}” on the {image}",
            label="{show}",
            alt={
                "original": "The {image} before any noise",
                "*": "The {image}, noised to {show} and denoised with the prompt “{prompt}”",
            },
            cases=strips([{"prompt": pair.prompt, "image": pair.image} for pair in MINE.prompted.pairs]),
            draw=edit,
            called={"image": MINE.called},
        )
    ],
)
