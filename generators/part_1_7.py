"""1.7: SDEdit. An image, noised and denoised again, comes back the more changed the more noise it was given."""

from .editing import edit, strips
from .figures import Figure, Section, each
from .prompts import PHOTO

SECTION = Section(
    "1.7",
    "Image-to-image translation",
    [
        Figure(
            "sdedit",
            caption="SDEdit of three images, guided by “{prompt}”.",
            row="{image}",
            label="{show}",
            alt="The {image}, edited: {show}",
            cases=strips(each(prompt=PHOTO, image=("campanile", "fox", "building"))),
            draw=edit,
        )
    ],
)
