"""1.1: the forward process. The Campanile at three noise levels."""

from ..figures import Figure, Section, strip
from ..settings import MINE


def noisy(lab, image, t, show):
    x0 = lab.image(image)
    return x0 if t is None else lab.schedule.forward(x0, t, lab.noise())


SECTION = Section(
    "1.1",
    "Implementing the forward process",
    [
        Figure(
            "noisy",
            caption="The {image} at increasing noise levels, and without noise.",
            label="{show}",
            alt={"original": "The {image} without noise", "*": "The {image} under noise, {show}"},
            cases=strip("t", (250, 500, 750), image="campanile"),
            draw=noisy,
            called={"image": MINE.called},
        )
    ],
)
